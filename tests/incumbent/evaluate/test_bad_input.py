"""Empty, one-row, one-class, constant, not finite: a named verdict from each, whatever is asked for, and no error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from duels import duel, groups, of_classes, regression

from incumbent.config import Gates
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.contest import Probe
from incumbent.records import canonical_json

pytestmark = pytest.mark.unit
EVERYTHING: dict[str, dict[str, Any]] = {
    "binary": {
        "floors": {"auc": 0.6},
        "ceilings": {"logloss": 1, "brier": 1},
        "cost": {"false_positive": 1, "false_negative": 9},
    },
    "multiclass": {
        "floors": {"accuracy": 0.1},
        "ceilings": {"logloss": 2},
        "cost": {"sql": "(label <> prediction)::INT"},
    },
    "regression": {
        "floors": {"r2": 0.1},
        "ceilings": {"rmse": 99, "mae": 99},
        "cost": {"sql": "abs(label - prediction)"},
    },
}
MADE: dict[str, Callable[[], Contest]] = {
    "binary": lambda: duel(np.random.default_rng(1), 4000, 0.03, correlation=0.99, days=10),
    "multiclass": lambda: of_classes(np.random.default_rng(1)),
    "regression": lambda: regression(np.random.default_rng(1)),
}


def made(task: str, minimum: bool = False) -> Contest:
    """Return a contest that is asked by every gate; with gates that ask for as few rows as they can, if so."""
    contest = MADE[task]()
    few = {"min_positives": 1, "min_clusters": 2, "min_train_rows": 1} if minimum else {}
    shared = {
        "slices": ["region"],
        "fairness": [{"column": "region", "measure": "error", "max_gap": 0.5 if task != "regression" else 5}],
        "behaviour": [{"name": "test", "feature": "x", "change": {"add": 1}, "expect": "same"}],
        "max_megabytes": 1,
        "max_ms_per_1000_rows": 1,
    }
    limits = Gates.model_validate({**EVERYTHING[task], **shared, **few})
    limits.check_task(task)
    rows = contest.labels.size
    region = groups("region", np.random.default_rng(2).integers(0, 3, rows), named=True)
    return replace(
        contest, limits=limits, slices=(region,), groups={"region": region}, megabytes=0.5, ms_per_1000_rows=0.5,
        probes={"test": Probe(contest.challenger, contest.challenger)}, day="2013-07-01", baseline=contest.champion,
        chance=0.1 if task != "multiclass" else np.full(3, 1 / 3),
    )  # fmt: skip


def first(contest: Contest) -> Contest:
    return replace(contest, champion=None, champion_train_until="")


def only(contest: Contest, chosen: slice) -> Contest:
    """Return a contest of some rows, groups too."""
    mask = np.zeros(contest.labels.size, dtype=np.bool_)
    mask[chosen] = True
    cut = tuple(replace(each, codes=each.codes[mask]) for each in contest.slices or ())
    return replace(contest.among(mask), slices=cut, groups={each.column: each for each in cut})


SPOILT: dict[str, Callable[[Contest], Contest]] = {
    "no row": lambda contest: only(contest, slice(0)),
    "one row": lambda contest: only(contest, slice(1)),
    "one cluster": lambda contest: replace(contest, clusters=np.zeros(contest.labels.size, dtype=np.int64)),
    "one class": lambda contest: replace(contest, labels=np.zeros(contest.labels.size)),
    "two rows": lambda contest: only(contest, slice(2)),
    "six rows of one cluster each": lambda contest: only(contest, slice(0, None, contest.labels.size // 6)),
    "a constant candidate": lambda contest: replace(contest, challenger=np.full_like(contest.challenger, 1 / 3)),
    "a constant champion": lambda contest: replace(
        contest, champion=None if contest.champion is None else np.full_like(contest.champion, 1 / 3)
    ),
    "a candidate that is not finite": lambda contest: replace(
        contest, challenger=np.full_like(contest.challenger, np.nan)
    ),
    "a candidate of infinities": lambda contest: replace(contest, challenger=np.full_like(contest.challenger, np.inf)),
    "a candidate that is too large": lambda contest: replace(
        contest, challenger=np.full_like(contest.challenger, 1e200)
    ),
    "labels that are no number": lambda contest: replace(contest, labels=np.full(contest.labels.size, np.nan)),
    "labels of another task": lambda contest: replace(contest, labels=contest.labels + 7.5),
    "one group": lambda contest: replace(
        contest, slices=(replace(contest.slices[0], codes=np.zeros(contest.labels.size, dtype=np.int64)),)  # type: ignore[index]
    ),
    "no groups": lambda contest: replace(contest, slices=(), groups={}),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("minimum", [False, True], ids=["by default", "gates that ask for next to nothing"])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=list(SPOILT))
@pytest.mark.parametrize("task", MADE)
def test_it_has_a_named_verdict_that_can_be_written_down(
    task: str, spoil: Callable[[Contest], Contest], minimum: bool
) -> None:
    for contest in (spoil(made(task, minimum)), spoil(first(made(task, minimum)))):
        verdict = judge(contest)
        assert verdict.verdict in ("promote", "reject", "insufficient_evidence")
        assert canonical_json(list(verdict.gates))
        assert all(isinstance(gate["sentence"], str) and gate["sentence"] for gate in verdict.gates)
        assert "nan" not in verdict.sentence.lower()


@pytest.mark.parametrize("task", MADE)
@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("no row", "insufficient_evidence", "too few gate rows: 0 rows"),
        ("one row", "insufficient_evidence", "too few gate rows: "),
        ("one cluster", "insufficient_evidence", "1 day of the 5 needed"),
        ("a candidate that is not finite", "reject", "candidate scores"),
        ("a candidate of infinities", "reject", "candidate scores"),
        ("a candidate that is too large", "reject", "candidate scores"),
        ("labels that are no number", "reject", "not finite: "),
    ],
)
def test_the_verdict_says_what_is_wrong(task: str, name: str, verdict: str, words: str) -> None:
    found = judge(SPOILT[name](made(task)))
    assert (found.verdict, words in found.sentence) == (verdict, True), found.sentence


def test_labels_that_the_task_does_not_have_are_counted() -> None:
    for task in ("binary", "multiclass"):
        found = judge(SPOILT["labels of another task"](made(task)))
        assert found.sentence == f"Not promoted: {made(task).labels.size:,} labels are none of task {task}."


def test_one_class_and_constant_scores_promote_nothing() -> None:
    assert judge(SPOILT["one class"](made("binary"))).verdict == "insufficient_evidence"
    for task in MADE:
        found = judge(SPOILT["a constant candidate"](made(task)))
        assert found.verdict == "reject"
        chance = next(gate for gate in found.gates if gate["gate"] == "chance")
        assert chance["passed"] is not True, "a constant does not beat a constant"


def test_every_gate_is_asked_of_every_task() -> None:
    for task in MADE:
        verdict = judge(made(task))
        assert [gate["gate"] for gate in verdict.gates] == [
            "data", "sample", "error_budget", "superiority", "loss", "calibration", "chance", "slices", "floors",
            "ceilings", "fairness", "cost", "size", "latency", "behaviour",
        ]  # fmt: skip
        assert verdict.verdict == "promote", verdict.sentence
