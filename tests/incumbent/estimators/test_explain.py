"""Explanations are Shapley values, and not the shares of the way down a tree, which sum to the margin as well."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.estimators import estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Chosen, Shard
from incumbent.records import ModelVersion, digest_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "params"),
    [("xgboost", {"max_depth": 2, "lambda": 0}), ("lightgbm", {"max_depth": 2, "min_data_in_leaf": 1})],
)
def test_features_that_do_the_same_add_the_same(tmp_path: Path, name: str, params: dict[str, Any]) -> None:
    """One tree for "both are 1": whichever it asks first, neither adds more than the other."""
    rows = pa.table({"first": [0.0, 0.0, 1.0, 1.0] * 100, "second": [0.0, 1.0, 0.0, 1.0] * 100})
    labels = np.array([0.0, 0.0, 0.0, 1.0] * 100)
    pq.write_table(rows, tmp_path / "rows.parquet")
    encoder, kind = Encoder.learn(rows, rows.column_names), estimator(name)
    shard = Shard([tmp_path / "rows.parquet"], [Chosen(0, np.arange(400, dtype=np.int32), labels, None)], encoder)
    grown = kind.fit(Given("binary", params, 7, "cpu", 1), shard, None, None)
    grown.add()
    data = kind.save(grown.finish(1), encoder, "d", "s")
    version = ModelVersion(digest_of(data), "m", name, "binary", "d", "s", encoder.features, {}, {}, 1, 400, "", {})
    neither, _, _, both = kind.explain(kind.load(data, version), version, rows.slice(0, 4))
    assert both[0] == pytest.approx(both[1], rel=1e-5)
    assert both[0] > 0.05 > 0 > neither[0]
    assert both[2] == pytest.approx(neither[2]), "the bias is of the model and not of the row"
