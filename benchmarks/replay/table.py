"""What a policy brought, in numbers and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.replay.null import Null
from benchmarks.replay.play import metric, sign
from benchmarks.replay.state import State
from benchmarks.replay.world import World
from incumbent.config import Model
from incumbent.monitor.performance import METRICS

HEAD = ("policy", "mean", "unscored", "requests", "fits", "promoted", "rolled back", "core s", "regret")


@dataclass(frozen=True)
class Result:
    """What a policy brought over a history.

    Attributes:
        name: Of the policy.
        values: Partition to the metric of its predictions; None while there was no champion.
        requests: For a training; a recalibration is none.
        fits: Of all their candidates.
        promotions, rollbacks: How many.
        core_s: Processor seconds of its fits.
        alarms: Batches with an alarm above `info`.
        held: Batches that integrity would have held.
    """

    name: str
    values: Mapping[str, float | None]
    requests: int
    fits: int
    promotions: int
    rollbacks: int
    core_s: float
    alarms: int = 0
    held: int = 0

    @classmethod
    def of(cls, name: str, state: State) -> Result:
        """Return what a state has come to."""
        fits = [version for each in state.trainings for version in each.versions]
        alarms, held = ({partition for partition, _ in found} for found in (state.alarms, state.held))
        return cls(
            name=name,
            values=dict(state.values),
            requests=sum(bool(each.versions) and not each.recalibrates for each in state.trainings),
            fits=len(fits),
            promotions=len(state.seats) - state.rollbacks,
            rollbacks=state.rollbacks,
            core_s=sum(version.core_s for version in fits),
            alarms=len(alarms),
            held=len(held),
        )


def shared(results: Sequence[Result]) -> list[str]:
    """Return the partitions that every policy has scored, so that no one is praised for leaving out the hard ones."""
    return [key for key in results[0].values if all(each.values.get(key) is not None for each in results)]


def mean(result: Result, partitions: Sequence[str]) -> float:
    """Return the mean metric over some partitions."""
    found = [value for key in partitions if (value := result.values[key]) is not None]
    return float(np.mean(found)) if found else float("nan")


def regret(model: Model, result: Result, reference: Result, partitions: Sequence[str]) -> float:
    """Return how much worse a policy did than another on the same partitions."""
    return sign(model) * (mean(reference, partitions) - mean(result, partitions))


def in_hindsight(world: World, state: State) -> dict[int, float]:
    """Return how much better each new holder of the seat did than the one before it would have done.

    Over the partitions that it has scored, which nobody knew when it got the seat; by generation, the first one and
    those that have scored nothing left out. Of a rollback it says whether that was right.
    """
    found = {}
    for generation, seat in state.seats.items():
        before = state.seats.get(seat.previous)
        keys = [key for key, scored_by in state.scored.items() if scored_by == generation]
        pairs = (
            [] if before is None else [(metric(world, k, seat.version), metric(world, k, before.version)) for k in keys]
        )
        gains = [sign(world.model) * (now - then) for now, then in pairs if now is not None and then is not None]
        if gains:
            found[generation] = float(np.mean(gains))
    return found


def print_table(title: str, model: Model, results: Sequence[Result], reference: Result) -> None:
    """Print one line a policy; the mean is over the partitions that all of them have scored."""
    partitions = shared(results)
    measure = f"mean {METRICS[model.task]}"
    print(
        f"\n{title}: {measure} over {len(partitions)} of {len(reference.values)} partitions, those that all have scored"
    )
    print(f"  {HEAD[0]:<34}" + "".join(f"{name:>12}" for name in HEAD[1:]))
    for each in results:
        unscored = sum(value is None for value in each.values.values())
        cells = (
            f"{mean(each, partitions):.4f}", unscored, each.requests, each.fits, each.promotions, each.rollbacks,
            f"{each.core_s:.0f}", f"{regret(model, each, reference, partitions):+.4f}",
        )  # fmt: skip
        print(f"  {each.name:<34}" + "".join(f"{cell:>12}" for cell in cells))


def print_course(world: World, state: State) -> None:
    """Print what each training of a policy came to, who had the seat, and which batches alarmed or would be held."""
    for each in state.trainings:
        print(f"    {each.partition:<11} {each.reason:<12} {each.verdict:<22} {each.sentence}")
    for generation, gain in in_hindsight(world, state).items():
        seat = state.seats[generation]
        what = "came back" if seat.is_back else f"trained until {seat.version.train_until}"
        print(f"    generation {generation}, {what}: {gain:+.4f} in hindsight against the one before")
    for what, found in (("alarm", state.alarms), ("held", state.held)):
        for partition, said in found:
            print(f"    {partition:<11} {what:<12} {said}")


def print_null(title: str, found: Null, rounds: int) -> None:
    """Print what was lived through where there was nothing to find, and whatever was said there all the same."""
    print(
        f"\n{title}: {found.seeds} seeds, {found.batches} scored batches, {found.judged} challengers "
        f"of {rounds} rounds each"
    )
    for said in found.said:
        print(f"    {said}")
