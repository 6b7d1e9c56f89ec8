"""LightGBM's model files are verified and survived before they are used, and say what their numbers mean."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators import lightgbm as estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Chosen, Shard
from incumbent.records import ModelVersion, digest_of

pytestmark = pytest.mark.unit
RNG = np.random.default_rng(3)
ROWS = pa.table(
    {
        'x "=": {': pa.array(RNG.normal(size=600), mask=RNG.random(600) < 0.1),
        "kind": RNG.choice(["a=b", "ü\n", "c"], 600).tolist(),
        "constant": np.ones(600),
    }
)
LABELS = ((np.asarray(ROWS["kind"]) == "c") + RNG.normal(size=600) > 0.5).astype(np.float64)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ModelVersion]:
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(ROWS, file, row_group_size=256)
    encoder = Encoder.learn(ROWS, ROWS.column_names)
    shard = Shard([file], [Chosen(0, np.arange(600, dtype=np.int32), LABELS, None)], encoder)
    grown = estimator.fit(Given("binary", {"num_leaves": 5}, 7, "cpu", 1), shard, None, None)
    assert all(grown.add() for _ in range(8))
    data = estimator.save(grown.finish(8), encoder, "d", "s")
    version = ModelVersion(
        digest_of(data), "small", "lightgbm", "binary", "d", "s", encoder.features, encoder.categories, {}, 8, 600,
        "2020-01-01", grown.importance(8),
    )  # fmt: skip
    return data, version


def test_a_loaded_booster_predicts_probabilities_in_any_batch_size(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster = estimator.load(*fitted)
    whole = estimator.predict(booster, fitted[1], ROWS)
    assert 0 < whole.min() < whole.max() < 1
    assert whole[LABELS == 1].mean() > whole[LABELS == 0].mean() + 0.05
    monkeypatch.setattr(estimator, "BATCH_ROWS", 77)
    np.testing.assert_array_equal(estimator.predict(booster, fitted[1], ROWS.select([2, 1, 0])), whole)
    assert len(estimator.predict(booster, fitted[1], ROWS.slice(0, 0))) == 0


def test_what_the_features_add_sums_to_the_margin(fitted: Any) -> None:
    booster, version = estimator.load(*fitted), fitted[1]
    parts, chance = estimator.explain(booster, version, ROWS), estimator.predict(booster, version, ROWS)
    assert parts.shape == (600, 4)
    np.testing.assert_allclose(parts.sum(axis=1), np.log(chance / (1 - chance)), atol=1e-9)
    assert np.abs(parts[:, 2]).max() == 0, "the constant adds nothing"
    assert version.importance["constant"] == 0
    assert sum(version.importance.values()) == pytest.approx(1)


def test_the_file_is_text_and_names_vocabulary_definition_and_snapshot(fitted: Any) -> None:
    data, version = fitted
    assert data.startswith(b"tree\nversion=v4\n")
    for other in ({"categories": {"kind": ("x", "y", "z")}}, {"definition": "e"}, {"snapshot": "t"}):
        told = ModelVersion(**{**vars(version), **other})
        with pytest.raises(ModelError, match="something else than the model file"):
            estimator.load(data, told)


def malformed(data: bytes) -> dict[str, bytes]:
    circle = re.sub(rb"(left|right)_child=\S+", rb"\1_child=0", data)
    random = np.random.default_rng(5).bytes(4096)
    return {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "header alone": data[: data.index(b"Tree=0")],
        "random": random,
        "random after a beginning": b"tree\n" + random,
        "a zip": b"PK\x03\x04" + random,
        "a pickle": b"\x80\x04\x95" + random,
        "a circle": circle,
        "a circle in one tree": re.sub(rb"left_child=\S+", b"left_child=0", data, count=1),
        "children that are not there": re.sub(rb"(left|right)_child=\S+", rb"\1_child=99999999", data),
        "parameters that are no JSON": re.sub(
            rb"\[interaction_constraints: .*\]", b"[interaction_constraints: [a,b]]", data
        ),
        "another number of leaves": data.replace(b"num_leaves=5", b"num_leaves=50000", 1),
    }


@pytest.mark.parametrize("how", list(malformed(b"left_child= Tree=0")))
def test_a_malformed_file_is_an_error_and_kills_no_one(fitted: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incumbent.estimators.model_file.FIRST_PARSE_S", 3.0)
    data = malformed(fitted[0])[how]
    with pytest.raises(ModelError, match="model unreadable"):
        estimator.verify(data, digest_of(data))


def test_a_file_that_cannot_be_read_again_is_not_saved(fitted: Any) -> None:
    encoder = Encoder(fitted[1].features, fitted[1].categories)
    unreadable = malformed(fitted[0])["parameters that are no JSON"]
    assert unreadable != fitted[0]
    with pytest.raises(TrainingError, match="cannot be read again") as caught:
        estimator.save(unreadable, encoder, "d", "s")
    assert "train.params" in caught.value.where


def test_other_bytes_are_refused_before_they_are_parsed(fitted: Any) -> None:
    with pytest.raises(ModelError, match="not the one that was promoted"):
        estimator.load(fitted[0] + b" ", fitted[1])
