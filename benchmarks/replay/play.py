"""Lives a history through, partition by partition: each is scored by who has the seat before anything of it is known.

A batch is there when its partition ends, and its outcomes come the label's delay later. What happens in the same
moment happens in that order, so nobody is judged, trained or seated by an outcome that came too late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol

import numpy as np

from benchmarks.replay.production import QUIET, Production
from benchmarks.replay.state import Ask, Days, Seat, State, Training
from benchmarks.replay.trainings import Trainings, Version
from benchmarks.replay.world import World
from incumbent.config import Model
from incumbent.evaluate import Verdict
from incumbent.evaluate.gates import DECISIVE
from incumbent.monitor.performance import METRICS
from incumbent.partitions import end_of
from incumbent.stats import auc, class_losses


class Policy(Protocol):
    """When to train, and who gets the seat."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def watches(self) -> bool:
        """Whether drift and integrity are asked, which only such a policy pays for."""

    def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        """Return a wish for a training, after a partition was scored or its outcomes came."""

    def days(self, production: Production, newest: str) -> Days:
        """Return how a training divides its days."""

    def judge(
        self, production: Production, state: State, challengers: Sequence[Version], days: Days, ask: Ask
    ) -> tuple[Verdict, Version]:
        """Return whether a challenger gets the seat, and which of them it is."""


def play(world: World, policy: Policy, trainings: Trainings, production: Production) -> State:
    """Live a history through under a policy."""
    state = State(world.model)
    for _, is_known, partition in _events(world):
        if is_known:
            _outcomes(state, production, partition)
        else:
            _batch(state, production, partition, watches=policy.watches)
        if policy.watches and partition in state.scored:
            _look(state, production, partition, is_known=is_known)
            if state.seat is not None and _seat_proven(state, production):
                continue  # MONITOR asks for one thing at a time
        # Without a champion nothing is scored, and then nobody looks at the batch either.
        looks = is_known or state.seat is not None
        ask = policy.asks(production, state, partition, is_known=is_known) if looks else None
        if ask is not None:
            _train(state, policy, trainings, production, partition, ask)
    return state


def metric(world: World, partition: str, version: Version) -> float | None:
    """Return the metric of a version's predictions of a partition; None if it cannot be told."""
    rows = world.labelled(world.partitions[partition])
    labels, scores = world.labels[rows], version.scores[rows]
    if world.model.task == "binary":
        return auc(labels, scores) if 0 < labels.mean() < 1 else None
    if world.model.task == "multiclass":
        return float(class_losses(labels, scores).mean())
    return float(np.sqrt(((labels - scores) ** 2).mean()))


def sign(model: Model) -> float:
    """Return 1 if a larger metric is better, else -1."""
    return 1.0 if METRICS[model.task] == "auc" else -1.0


def _events(world: World) -> list[tuple[datetime, bool, str]]:
    model, found = world.model, []
    for partition in world.partitions:
        end = end_of(partition, model.grain)
        found.append((end + model.delay_of(model.batch_source), False, partition))
        found.append((end + model.delay_of(model.outcome_source), True, partition))
    return sorted(found)


def _batch(state: State, production: Production, partition: str, *, watches: bool) -> None:
    seat = state.seat
    if watches:
        earlier = [key for key in state.values if key < partition]
        state.held += [(partition, said) for said in production.broken(partition, earlier, seat)]
    state.values[partition] = None if seat is None else metric(production.world, partition, seat.version)
    if seat is None:
        return
    state.scored[partition] = seat.generation
    if watches:
        verdict = state.drift[partition] = production.drift(partition, seat, state)
        if verdict["tier"] not in QUIET:
            state.alarms.append((partition, f"{verdict['tier']}: {verdict['sentence']}"))


def _outcomes(state: State, production: Production, partition: str) -> None:
    labels = production.world.labels[production.world.labelled(production.world.partitions[partition])]
    state.labelled[partition], state.rarer[partition] = len(labels), production.rarer(labels)
    seat = state.seats.get(state.scored.get(partition, 0))
    if seat is not None and seat.reference:
        state.performance[partition] = production.performance(partition, seat)


def _look(state: State, production: Production, partition: str, *, is_known: bool) -> None:
    """Explain a scored batch, compare who is in shadow, and give the seat back if the one before is better."""
    production.shadows(partition, state, is_known=is_known)
    state.diagnoses[partition] = production.diagnosis(partition, state)
    why, seat = production.rolls_back(state), state.seat
    if why and seat is not None:
        state.alarms.append((partition, f"rolled back: {why}"))
        before = state.seats[seat.previous]
        state.take(replace(before, generation=len(state.seats) + 1, previous=seat.generation, is_back=True))


def _seat_proven(state: State, production: Production) -> bool:
    """Judge a challenger whose evidence in shadow is enough by now; return whether there was one."""
    found = production.proven(state)
    if found is None:
        return False
    verdict, days = production.judge_proven(state, found)
    message = f"evidence {found.shadow.evidence.e:.3g} of the {found.shadow.needed:.3g} needed"
    state.trainings.append(_answered(found.partition, Ask("evidence", False, message), verdict, ()))
    if verdict.verdict == "promote":
        _promote(state, production, found.partition, found.version, days)
    return True


def _train(
    state: State, policy: Policy, trainings: Trainings, production: Production, partition: str, ask: Ask
) -> None:
    window = tuple(sorted(key for key in state.labelled if key <= partition))
    days = policy.days(production, window[-1])
    challengers = _challengers(state, trainings, days, ask)
    verdict, best = policy.judge(production, state, challengers, days, ask)
    state.fitted |= {each.digest: each for each in challengers}
    state.windows |= {each.digest: window for each in challengers}
    state.trainings.append(_answered(partition, ask, verdict, tuple(challengers), window[-1]))
    if verdict.verdict == "promote":
        _promote(state, production, partition, best, days)
    elif ask.recalibrate and (more := policy.asks(production, state, partition, is_known=True)) is not None:
        _train(state, policy, trainings, production, partition, more)  # it was not enough


def _challengers(state: State, trainings: Trainings, days: Days, ask: Ask) -> list[Version]:
    if ask.recalibrate and state.seat is not None:
        trees = state.fitted[state.seat.version.manifest.trees]
        return [trainings.recalibrate(trees, days.train_until, date.fromisoformat(ask.recalibrate))]
    since = [date.fromisoformat(ask.since)] if ask.since else []
    return [trainings.fit(days.train_until, first) for first in (None, *since)]


def _answered(partition: str, ask: Ask, verdict: Verdict, versions: tuple[Version, ...], learned: str = "") -> Training:
    decisive = next((gate for gate in verdict.gates if gate["gate"] in DECISIVE), {})
    return Training(
        partition=partition,
        reason=ask.reason,
        message=ask.message,
        verdict=verdict.verdict,
        sentence=verdict.sentence,
        estimate=decisive.get("estimate"),
        error=decisive.get("error"),
        versions=versions,
        stopped_by=tuple(str(gate["gate"]) for gate in verdict.gates if gate["passed"] is not True),
        learned=learned,
    )


def _promote(state: State, production: Production, partition: str, version: Version, days: Days) -> None:
    reference = production.reference(version, days) if days.gate_from < days.gate_until else {}
    previous = state.seat.generation if state.seat else 0
    window = state.windows[version.digest]
    state.take(Seat(len(state.seats) + 1, version, partition, window, days, previous, reference))
