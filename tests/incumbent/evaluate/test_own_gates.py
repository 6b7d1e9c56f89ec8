"""A folder's own gates: functions of its model.py that are asked like any other, and fail closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from duels import duel

from incumbent.errors import ModelError
from incumbent.evaluate import Contest, judge
from incumbent.functions import Functions

pytestmark = pytest.mark.unit
CONTEST = duel(np.random.default_rng(1), 10_000, 0.03)


def with_gates(**own: Callable[[Contest], Any]) -> Contest:
    return replace(CONTEST, own=own, own_text="d" * 64)


def test_they_are_asked_in_the_order_of_their_names_and_their_numbers_are_on_record() -> None:
    def gate_b(contest: Contest) -> Any:
        share = (contest.challenger > 0.5).mean()
        return {"passed": share < 0.5, "share": share, "each": np.arange(2), "sentence": f"{share:.1%} are called"}

    def gate_a(contest: Contest) -> Any:
        return {"passed": True, "sentence": "as it should be"}

    verdict = judge(with_gates(gate_b=gate_b, gate_a=gate_a))
    assert verdict.verdict == "promote"
    first, second = verdict.gates[-2:]
    assert first == {"gate": "gate_a", "passed": True, "functions": "d" * 64, "sentence": "as it should be"}
    assert (second["gate"], second["passed"], second["each"]) == ("gate_b", True, [0, 1])
    assert second["share"] == pytest.approx((CONTEST.challenger > 0.5).mean())
    assert type(second["share"]) is float


@pytest.mark.parametrize(("passed", "verdict"), [(False, "reject"), (None, "insufficient_evidence")])
def test_they_stop_a_candidate(passed: bool | None, verdict: str) -> None:
    found = judge(with_gates(gate_a=lambda contest: {"passed": passed, "sentence": "too many calls"}))
    assert (found.verdict, found.sentence) == (verdict, "Not promoted: too many calls.")


@pytest.mark.parametrize(
    "given",
    [
        True,
        None,
        {"passed": True},
        {"sentence": "x"},
        {"passed": 1, "sentence": "x"},
        {"passed": "yes", "sentence": "x"},
        {"passed": True, "sentence": 3},
        {"passed": True, "sentence": "x", "number": float("nan")},
        {"passed": True, "sentence": "x", "what": object()},
    ],
)
def test_what_is_no_verdict_promotes_nothing(given: Any) -> None:
    with pytest.raises(ModelError, match=r"gives no verdict") as caught:
        judge(with_gates(gate_a=lambda contest: given))
    assert caught.value.where == "model.py: gate_a"


def test_one_that_fails_names_its_line_and_hides_values_where_they_are_somebodys() -> None:
    text = "def gate_a(contest):\n    raise ValueError('Ann')\n"
    for hide in (False, True):
        functions = replace(Functions.of(text), hide=hide)
        own = {"gate_a": lambda contest, functions=functions: functions.call("gate_a", contest, error=ModelError)}
        with pytest.raises(ModelError, match=r"model\.py, line 2: gate_a") as caught:
            judge(with_gates(**own))
        assert ("Ann" in str(caught.value)) is not hide
        assert "docs/gates.md" in str(caught.value)


def test_they_are_not_asked_where_nothing_can_be_judged() -> None:
    def gate_a(contest: Contest) -> Any:
        raise AssertionError("there are no rows to look at")

    verdict = judge(replace(with_gates(gate_a=gate_a), challenger=np.full(10_000, np.nan)))
    assert (verdict.verdict, verdict.gates[-1]["passed"]) == ("reject", None)
