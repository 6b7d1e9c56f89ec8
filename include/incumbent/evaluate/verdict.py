"""Put the gates together: one verdict and one sentence that a manager can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates import DECISIVE, PRECONDITIONS, gates_of


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
    for name, gate in gates_of(contest):
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
    if stopped_by:
        return f"Not promoted: {stopped_by[0]['sentence']}."
    decisive = next(result["sentence"] for result in results if result["gate"] in DECISIVE)
    judged = [result for result in results if result.get("applies", True)]
    return f"All {len(judged)} gates passed: {decisive}."
