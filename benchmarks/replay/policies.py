"""Ways to keep a model in order: the usual ones, and production's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.replay.production import Production
from benchmarks.replay.state import Ask, Days, State
from benchmarks.replay.trainings import Version
from incumbent.evaluate import Verdict
from incumbent.partitions import Grain, end_of, key_of, start_of

UNGATED = Verdict("promote", (), "no gate")
FALL = 0.02


@dataclass(frozen=True)
class Ours:
    """Production's decisions with the folder's configuration."""

    name: str = "ours"
    watches: bool = True

    def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        """Ask as production's policy does; what alarms is noted whether or not it asks."""
        if is_known and state.seat is not None:
            found = [(partition, said) for said in production.labelled_alarms(state, partition)]
            state.alarms.extend(alarm for alarm in found if alarm not in state.alarms)
        decision = production.decide(state, partition)
        since, recalibrate = (str(decision.evidence.get(name, "")) for name in ("since", "recalibrate"))
        if not decision.reason:
            return None
        return Ask(decision.reason, decision.degraded, decision.message, since, partition, recalibrate)

    def days(self, production: Production, newest: str) -> Days:
        """Divide the days as the configuration says."""
        return production.days(newest)

    def judge(
        self, production: Production, state: State, challengers: Sequence[Version], days: Days, ask: Ask
    ) -> tuple[Verdict, Version]:
        """Ask the gates."""
        return production.judge(state, challengers, days, ask.partition, degraded=ask.degraded)


@dataclass(frozen=True)
class Never(Ours):
    """Production's first champion, for good."""

    name: str = "never"
    watches: bool = False

    def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        """Ask for a first champion and for nothing more."""
        return super().asks(production, state, partition, is_known=is_known) if state.seat is None else None


@dataclass(frozen=True)
class Schedule:
    """A training whenever a calendar interval has ended, and no gate.

    Attributes:
        every: The interval; None for each partition.
        holds_out: Whether the newest days are kept for gates, though there are none.
        is_gated: Whether production's gates judge.
    """

    name: str
    every: Grain | None = None
    holds_out: bool = True
    is_gated: bool = False
    watches: bool = False

    def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        """Ask once the outcomes of an interval's last partition are in."""
        due = production.is_due_first(state, partition) if state.seat is None else self._is_due(state, partition)
        return Ask("schedule", False, f"{partition}: it is time", "", partition) if is_known and due else None

    def days(self, production: Production, newest: str) -> Days:
        """Keep the gates' days out, or nothing."""
        days = production.days(newest)
        return days if self.holds_out else Days(days.gate_until, days.gate_until, days.gate_until)

    def judge(
        self, production: Production, state: State, challengers: Sequence[Version], days: Days, ask: Ask
    ) -> tuple[Verdict, Version]:
        """Let everybody in, or ask the gates."""
        if self.is_gated:
            return production.judge(state, challengers, days, ask.partition, degraded=ask.degraded)
        return UNGATED, challengers[0]

    def _is_due(self, state: State, partition: str) -> bool:
        grain = state.model.grain
        begin, end = start_of(partition, grain), end_of(partition, grain)
        return self.every is None or key_of(begin, self.every) != key_of(end, self.every)


@dataclass(frozen=True)
class Thresholds:
    """A training when the metric has fallen by so much since the promotion; the newer one promotes if it is better."""

    name: str = "fixed thresholds"
    watches: bool = False

    def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        """Ask when the newest judged partition is below its value at the promotion."""
        if state.seat is None:
            due = is_known and production.is_due_first(state, partition)
            return Ask("schedule", False, f"{partition}: the first", "", partition) if due else None
        found = state.performance.get(partition)
        if not is_known or found is None or found["value"] is None or found["generation"] != state.seat.generation:
            return None
        before = float(state.seat.reference["value"])
        fall = before - found["value"] if found["metric"] == "auc" else found["value"] / before - 1
        return Ask("fell", False, f"{partition}: fell by {fall:.3f}", "", partition) if fall > FALL else None

    def days(self, production: Production, newest: str) -> Days:
        """Divide the days as the configuration says."""
        return production.days(newest)

    def judge(
        self, production: Production, state: State, challengers: Sequence[Version], days: Days, ask: Ask
    ) -> tuple[Verdict, Version]:
        """Compare two numbers."""
        if state.seat is None:
            return UNGATED, challengers[0]
        contest = production.contests.contest(challengers[0], state.seat, days, looked=False)
        if contest.champion is None:
            return UNGATED, challengers[0]
        gain = contest.metric_of(contest.challenger) - contest.metric_of(contest.champion)
        gain = gain if contest.metric == "AUC" else -gain
        gate = {"gate": "superiority", "passed": gain > 0, "estimate": gain}
        return Verdict("promote" if gain > 0 else "reject", (gate,), f"{gain:+.4f}"), challengers[0]
