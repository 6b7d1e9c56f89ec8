"""The gates: each a small function of a contest, in a module of its own.

A gate says True, False, or None for "not enough evidence". It fails closed: what cannot be computed
is not passed. Nothing here compares two point estimates: "newer AUC above older AUC" promotes half of
all challengers that are exactly as good.
"""

from __future__ import annotations

from collections.abc import Callable

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.behaviour import behaviour
from incumbent.evaluate.gates.bounds import ceilings, floors
from incumbent.evaluate.gates.calibration import calibration, first_calibration
from incumbent.evaluate.gates.cost import cost
from incumbent.evaluate.gates.data import data
from incumbent.evaluate.gates.error_budget import error_budget
from incumbent.evaluate.gates.evidence import evidence
from incumbent.evaluate.gates.fairness import fairness
from incumbent.evaluate.gates.kpi import kpi
from incumbent.evaluate.gates.loss import loss
from incumbent.evaluate.gates.own import own_gates
from incumbent.evaluate.gates.resources import latency, size
from incumbent.evaluate.gates.result import Gate, Result
from incumbent.evaluate.gates.sample import first_sample, sample
from incumbent.evaluate.gates.slices import slices
from incumbent.evaluate.gates.superiority import superiority
from incumbent.evaluate.gates.trivial import baseline, chance
from incumbent.evaluate.leaks import leaks

__all__ = ["DECISIVE", "PRECONDITIONS", "Gate", "Result", "gates_of"]

Asked = Callable[[Contest], bool]
CHALLENGER: tuple[tuple[str, Gate], ...] = (
    ("superiority", superiority),
    ("loss", loss),
    ("calibration", calibration),
    ("chance", chance),
)
COLD_START: tuple[tuple[str, Gate], ...] = (
    ("chance", chance),
    ("baseline", baseline),
    ("calibration", first_calibration),
)
# Each with when there is such a gate: where somebody asked for it, or looked.
OTHERS: tuple[tuple[str, Gate, Asked], ...] = (
    ("slices", slices, lambda contest: contest.slices is not None and contest.champion is not None),
    ("floors", floors, lambda contest: bool(contest.limits.floors)),
    ("ceilings", ceilings, lambda contest: bool(contest.limits.ceilings)),
    ("fairness", fairness, lambda contest: bool(contest.limits.fairness)),
    ("cost", cost, lambda contest: contest.limits.cost is not None),
    ("kpi", kpi, lambda contest: bool(contest.limits.kpi)),
    ("size", size, lambda contest: contest.limits.max_megabytes is not None),
    ("latency", latency, lambda contest: contest.limits.max_ms_per_1000_rows is not None),
    ("behaviour", behaviour, lambda contest: bool(contest.limits.behaviour)),
)
# Without finite numbers, enough rows and a budget, the later gates have nothing to compute with, or must not.
PRECONDITIONS = ("data", "sample", "error_budget")
DECISIVE = (
    "evidence",
    "superiority",
    "chance",
)  # gates whose estimate says how good a candidate is; the first that there is


def gates_of(contest: Contest) -> list[tuple[str, Gate]]:
    """Return the gates of a contest in the order in which they are asked: the first failure is the verdict's sentence.

    Leaks come last: a leak makes the others pass brilliantly.
    """
    cold = contest.champion is None
    first: list[tuple[str, Gate]] = [("data", data), ("sample", first_sample if cold else sample)]
    decisive = CHALLENGER
    if contest.shadow is not None:  # its error rate was kept for this when it was judged first
        decisive = (("evidence", evidence), *CHALLENGER[1:])
    elif contest.day and not cold:
        first.append(("error_budget", error_budget))
    others = [(name, gate) for name, gate, asked in OTHERS if asked(contest)]
    last: list[tuple[str, Gate]] = [] if contest.leaks is None else [("leaks", leaks)]
    return [*first, *(COLD_START if cold else decisive), *others, *own_gates(contest), *last]
