"""Put the gates together: one verdict and one sentence that a manager can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from incumbent.evaluate import cold_start, gates
from incumbent.evaluate.contest import Contest
from incumbent.evaluate.leaks import leaks

Gate = Callable[[Contest], dict[str, Any]]
CHALLENGER: tuple[tuple[str, Gate], ...] = (
    ("data", gates.data),
    ("sample", gates.sample),
    ("superiority", gates.superiority),
    ("loss", gates.loss),
    ("calibration", gates.calibration),
)
COLD_START: tuple[tuple[str, Gate], ...] = (
    ("data", gates.data),
    ("sample", cold_start.sample),
    ("chance", cold_start.chance),
    ("baseline", cold_start.baseline),
    ("calibration", cold_start.calibration),
)
# Last, because the first failure is the verdict's sentence: a leak makes the others pass brilliantly.
LEAKS: tuple[tuple[str, Gate], ...] = (("leaks", leaks),)
# Without finite numbers and enough rows, the later gates have nothing to compute with.
PRECONDITIONS = ("data", "sample")


@dataclass(frozen=True)
class Verdict:
    """What EVALUATE says: `promote`, `reject` or `insufficient_evidence`, every gate, one sentence."""

    verdict: str
    gates: tuple[dict[str, Any], ...]
    sentence: str


def judge(contest: Contest) -> Verdict:
    """Run every gate of a contest and return the verdict.

    All gates passed: `promote`. Any gate failed: `reject`. Otherwise `insufficient_evidence`.
    """
    results: list[dict[str, Any]] = []
    blocked = ""
    asked = (COLD_START if contest.champion is None else CHALLENGER) + (() if contest.leaks is None else LEAKS)
    for name, gate in asked:
        if blocked:
            results.append({"gate": name, "passed": None, "sentence": f"not judged: the {blocked} gate comes first"})
            continue
        results.append(gate(contest))
        if name in PRECONDITIONS and results[-1]["passed"] is not True:
            blocked = name
    failed = [result for result in results if result["passed"] is False]
    open_ = [result for result in results if result["passed"] is None]
    verdict = "reject" if failed else "insufficient_evidence" if open_ else "promote"
    return Verdict(verdict, tuple(results), _sentence(results, failed or open_))


def _sentence(results: list[dict[str, Any]], stopped_by: list[dict[str, Any]]) -> str:
    if not stopped_by:
        decisive = results[len(PRECONDITIONS)]["sentence"]
        return f"All {len(results)} gates passed: {decisive}."
    return f"Not promoted: {stopped_by[0]['sentence']}."
