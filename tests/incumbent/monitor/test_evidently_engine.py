"""The engine of a team that keeps Evidently: its own decisions, mapped to tiers, and nothing that raises."""

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import EvidentlyEngine
from incumbent.errors import ConfigError
from incumbent.monitor.evidently_engine import evidently_verdict, with_scores
from incumbent.monitor.verdicts import DriftVerdict

pytestmark = pytest.mark.unit
SETTINGS = EvidentlyEngine()


def rows(seed: int, count: int = 2000, moved: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3))
    x[:, :moved] += 2
    table = {f"x{at}": x[:, at] for at in range(3)} | {"shop": random.choice(["a", "b"], count)}
    return with_scores(pa.table(table), random.random(count), ["score"])


def judged(batch: pa.Table, reference: pa.Table, settings: EvidentlyEngine = SETTINGS) -> DriftVerdict:
    return evidently_verdict("2013-02", 1, "v", batch, reference, 3, {"x0": 0.7}, settings, ["score"])


def test_the_preset_decides() -> None:
    assert judged(rows(1), rows(2)).tier == "none"
    some = judged(rows(1, moved=2), rows(2))
    assert (some.tier, [each["feature"] for each in some.features]) == ("warning", ["x0", "x1"])
    assert some.features[0]["value"] > some.features[0]["threshold"]
    most = judged(rows(1, moved=3), rows(2))
    assert (most.tier, most.engine) == ("retrain candidate", "evidently")
    assert "60% of 5 columns have drifted" in most.sentence
    assert DriftVerdict.from_json(most.to_json()).to_json() == most.to_json()


def test_its_parameters_are_the_teams() -> None:
    batch, reference = rows(1, moved=1), rows(2)
    assert judged(batch, reference, EvidentlyEngine(drift_share=0.2)).tier == "retrain candidate"
    assert judged(batch, reference, EvidentlyEngine(num_threshold=100.0)).tier == "none"
    psi = judged(batch, reference, EvidentlyEngine(num_method="psi", cat_method="psi"))
    assert psi.features[0]["method"] == "psi"
    with pytest.raises(ConfigError, match="no such method"):
        judged(batch, reference, EvidentlyEngine(num_method="nonsense"))


def test_a_p_value_alarms_below_its_threshold() -> None:
    found = judged(rows(1, 400, moved=1), rows(2, 400), EvidentlyEngine(num_method="ks"))
    assert found.features[0]["feature"] == "x0"
    assert found.features[0]["value"] < found.features[0]["threshold"]
    assert found.features[0]["effect"] > 0.95


@pytest.mark.parametrize(
    "values",
    [
        pa.array([None] * 2000, pa.float64()),
        pa.array([None] * 2000, pa.string()),
        pa.array([float("nan"), float("inf")] * 1000),
        pa.array(["1"] * 2000),
    ],
)
def test_what_it_would_raise_on_is_left_out_and_named(values: pa.Array) -> None:
    batch = rows(1).set_column(1, "x1", values)
    found = judged(batch, rows(2))
    assert found.left_out == ("x1",)
    assert found.tier == "none"
    assert "Left out, without values: x1" in found.sentence
    assert judged(rows(1), batch).left_out == ("x1",)


def test_a_constant_and_a_boolean_are_taken() -> None:
    extra = [rows(seed).append_column("one", pa.array([1.0] * 2000)) for seed in (1, 2)]
    extra = [each.append_column("flag", pa.array([True, None] * 1000)) for each in extra]
    found = judged(*extra)
    assert (found.tier, found.left_out) == ("none", ())


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_are_no_verdict(count: int) -> None:
    found = judged(rows(1, count), rows(2))
    assert (found.tier, found.basis) == ("none", "insufficient data")
    found = judged(rows(1), rows(2, count))
    assert (found.tier, found.basis) == ("none", "insufficient data")
