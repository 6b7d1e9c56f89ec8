"""Where a rollout stands: a pure fold over what was found about its partitions, in partition order.

Quality is compared on all rows, for both versions predict all of them: an e-process says whether the challenger is
worse, however often somebody looks. KPIs follow from what was published, so they compare the challenger's units with
the champion's. Before either counts, the shares have to be those that were dealt: a sample ratio that is off says that
the two groups lost different rows, and then no comparison of them means anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incumbent.partitions import Grain, end_of, start_of
from incumbent.rollout.plan import Plan
from incumbent.stats import Measured, gathered
from incumbent.words import better

MISMATCH = 0.001
PROMOTE, RETREAT = "promote", "retreat"
DAY_S = 86_400


@dataclass(frozen=True)
class State:
    """How far a rollout is.

    Attributes:
        step: Position of the step that goes on; the number of steps when all are over.
        share: Share of the units that the challenger predicts now.
        outcome: `promote` or `retreat`; empty while it goes on.
        sentence: The same for a person.
    """

    step: int
    share: float
    outcome: str
    sentence: str


def state_of(plan: Plan, found: Mapping[str, Mapping[str, Any]], grain: Grain) -> State:
    """Return where a rollout stands.

    Args:
        plan: The rollout.
        found: Partition to what was found about it; see `incumbent.rollout.verdict`.
        grain: How long a partition is.
    """
    judged = [found[key] for key in sorted(found) if found[key]["judged"]]
    step = _step(plan, judged, grain)
    share = plan.steps[min(step, len(plan.steps) - 1)]
    against = _mismatch(judged) or _harm(plan, judged) or _kpi(plan, judged)
    name = f"Rollout {plan.id}"
    if against:
        return State(step, 0.0, RETREAT, f"{name}: sent back, {against}.")
    said = _said(judged)
    if step == len(plan.steps):
        return State(step, share, PROMOTE, f"{name}: all {len(plan.steps)} steps are over, {said}.")
    days = plan.cycles * plan.cycle_days
    how = f"{share:.0%} of the units" if share else "beside the champion"
    return State(step, share, "", f"{name}: step {step + 1} of {len(plan.steps)}, {how} for {days} days; {said}.")


def _step(plan: Plan, judged: Sequence[Mapping[str, Any]], grain: Grain) -> int:
    """Return how many steps are over: each lasts whole cycles of partitions whose outcomes are in."""
    for step, share in enumerate(plan.steps):
        days = sum(_days(each["partition"], grain) for each in judged if each["share"] == share)
        if days < plan.cycles * plan.cycle_days:
            return step
    return len(plan.steps)


def _days(partition: str, grain: Grain) -> float:
    return (end_of(partition, grain) - start_of(partition, grain)).total_seconds() / DAY_S


def _mismatch(judged: Sequence[Mapping[str, Any]]) -> str:
    looked = [each for each in judged if each["share"]]
    for each in looked:
        champion, challenger = each["units"]
        count = champion + challenger
        spread = math.sqrt(count * each["share"] * (1 - each["share"]))
        z = (challenger - each["share"] * count) / spread if spread else 0.0
        if math.erfc(abs(z) / math.sqrt(2)) * len(looked) < MISMATCH:
            return (
                f"{challenger} of {count} units with outcomes in {each['partition']} were the challenger's, where "
                f"{each['share']:.1%} were dealt to it: the two groups lost different rows"
            )
    return ""


def _harm(plan: Plan, judged: Sequence[Mapping[str, Any]]) -> str:
    evidence = gathered([Measured(-each["advantage"], each["error"], each["rows"], each["df"]) for each in judged])
    if evidence.e < 1 / plan.alpha:
        return ""
    return (
        f"over {len(judged)} partitions the champion is {better(evidence.estimate)} "
        f"(evidence {evidence.e:.3g} of the {1 / plan.alpha:g} needed)"
    )


def _kpi(plan: Plan, judged: Sequence[Mapping[str, Any]]) -> str:
    names = sorted({name for each in judged for name in each["kpis"]})
    for name in names:
        found = [each["kpis"][name] for each in judged if name in each["kpis"]]
        lost = [Measured(each["lost"] - each["allowed"], each["error"], each["rows"], each["df"]) for each in found]
        evidence = gathered(lost)
        if evidence.e >= (needed := len(names) / plan.alpha):
            return (
                f"{name} of the challenger's units is behind by {evidence.estimate:.4g} more than it may be "
                f"(evidence {evidence.e:.3g} of the {needed:g} needed)"
            )
    return ""


def _said(judged: Sequence[Mapping[str, Any]]) -> str:
    if not judged:
        return "no outcomes are in"
    found = gathered([Measured(each["advantage"], each["error"], each["rows"], each["df"]) for each in judged])
    return f"over {len(judged)} partitions the challenger is {better(found.estimate)} ± {found.error:.4f}"
