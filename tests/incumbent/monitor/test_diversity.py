"""Output diversity: quiet on batches of the same kind, loud when answers become one, honest about little evidence."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit
from scipy.stats import binomtest

from incumbent.features.profile import profile
from incumbent.monitor import diversity
from incumbent.monitor.diversity import concentration, output_diversity, with_diversity
from incumbent.monitor.verdicts import DriftVerdict

pytestmark = pytest.mark.unit
CELLS = 40
SHARES = np.random.default_rng(1).dirichlet(np.full(CELLS, 2.0))


def drawn(random: np.random.Generator, rows: int, wobble: float = 0.0) -> dict[str, int]:
    shares = SHARES * np.exp(wobble * random.normal(size=CELLS))
    found = random.multinomial(rows, shares / shares.sum())
    return {str(cell): int(count) for cell, count in enumerate(found) if count}


@pytest.mark.parametrize(("wobble", "rows", "size"), [(0.0, 100, 0.05), (0.3, 5000, 0.08)])
def test_the_error_rate_holds_nearly_even_without_the_tolerance(
    monkeypatch: pytest.MonkeyPatch, wobble: float, rows: int, size: float
) -> None:
    """A wobble makes the logarithm skewed: the tolerance pays for it."""
    random = np.random.default_rng(5)
    cases = [(drawn(random, rows, wobble), [drawn(random, 1000, wobble) for _ in range(20)]) for _ in range(800)]
    assert min(concentration(*case).p for case in cases) > diversity.ALPHA, "with the tolerance there is none at all"
    monkeypatch.setattr(diversity, "TOLERANCE", 0.0)
    p = np.array([concentration(*case).p for case in cases])
    assert binomtest(int(np.sum(p < 0.05)), len(p), size, "greater").pvalue > 0.001
    assert np.mean(p < 0.5) > 0.2, "p-values that never move would pass as well"


def test_the_variance_of_the_concentration_is_that_of_a_simulation() -> None:
    random = np.random.default_rng(2)
    rows = 400
    found = np.array([diversity._repeat(random.multinomial(rows, SHARES).astype(float)) for _ in range(4000)])
    assert diversity._sampling(SHARES, rows) == pytest.approx(np.var(logit(found)), rel=0.1)
    assert found.mean() == pytest.approx(float(SHARES @ SHARES), rel=0.01), "unbiased"


def test_scores_that_collapse_are_found_at_any_size() -> None:
    random = np.random.default_rng(3)
    past = [{"score": drawn(random, 2000, 0.1)} for _ in range(6)]
    for rows in (100, 1000, 1_000_000):
        assert output_diversity({"score": drawn(random, rows, 0.1)}, past)["state"] == "ordinary"
        found = output_diversity({"score": {"3": rows}}, past)
        assert found["state"] == "collapsed"
        assert found["columns"][0]["repeat"] == 1
        assert "worth 1.0 different answers" in found["sentence"]


def test_one_class_for_nearly_everybody_is_found_beside_ordinary_scores() -> None:
    random = np.random.default_rng(4)
    past = [{"score": drawn(random, 2000), "class": {"a": 500, "b": 800, "c": 700 + at}} for at in range(5)]
    found = output_diversity({"score": drawn(random, 2000), "class": {"a": 1990, "b": 10}}, past)
    assert [column["state"] for column in found["columns"]] == ["ordinary", "collapsed"]
    assert found["alpha"] == diversity.ALPHA / 2


def test_counts_add_up() -> None:
    first, second = ({"a": 30, "b": 40}, {"b": 10, "c": 50})
    past = [{"a": 30 + at, "b": 50, "c": 50} for at in range(4)]
    assert concentration({"a": 30, "b": 50, "c": 50}, past) == concentration(
        {key: first.get(key, 0) + second.get(key, 0) for key in "abc"}, past
    )


@pytest.mark.parametrize(
    ("batch", "past", "state"),
    [
        ({"score": {}}, [{"score": {"a": 100, "b": 100}}] * 5, "insufficient data"),
        ({"score": {"a": 1}}, [{"score": {"a": 100, "b": 100}}] * 5, "insufficient data"),
        ({}, [], "insufficient data"),
        ({"score": {"a": 500}}, [{"score": {"a": 500}}] * 5, "ordinary"),  # a constant that always was one
        ({"score": {"a": 900_000}}, [{"score": {"a": 60}}] * 5, "ordinary"),
        ({"score": {"a": 500}}, [{"score": {"a": 250, "b": 250}}] * 2, "uncalibrated"),
        ({"score": {"a": 500}}, [{"score": {"a": 3, "b": 2}}] * 9, "uncalibrated"),  # past batches of a few rows
        ({"score": {"a": 500}}, [{}] * 9, "uncalibrated"),  # a reference from before the column was kept
        ({"score": {str(each): 1 for each in range(500)}}, [{"score": {"a": 250, "b": 250}}] * 5, "ordinary"),
    ],
)
def test_odd_outputs_have_a_named_verdict(batch: dict, past: list, state: str) -> None:  # type: ignore[type-arg]
    assert output_diversity(batch, past)["state"] == state


def test_scores_that_are_no_number_are_no_rows() -> None:
    table = pa.table({"score": [float("nan")] * 200})
    counts = profile(table, ["score"]).columns["score"].counts
    assert output_diversity({"score": counts}, [{"score": {"#1": 99, "#2": 99}}] * 4)["state"] == "insufficient data"


def test_a_collapse_is_a_warning_at_least_and_never_takes_one_back() -> None:
    past = [{"score": {"a": 100, "b": 100 + at}} for at in range(5)]
    found = output_diversity({"score": {"a": 200}}, past)
    assert found["state"] == "collapsed"
    verdict = DriftVerdict("2013-02", 1, "v", "none", 5, {}, (), "No drift.")
    assert with_diversity(verdict, found).tier == "warning"
    assert "collapsed" in with_diversity(verdict, found).sentence
    assert with_diversity(DriftVerdict("2013-02", 1, "v", "drift", 5, {}, (), "Drift."), found).tier == "drift"
    ordinary = output_diversity({"score": {"a": 100, "b": 100}}, past)
    assert with_diversity(verdict, ordinary).sentence == "No drift."
    assert DriftVerdict.from_json(with_diversity(verdict, found).to_json()).diversity == found
