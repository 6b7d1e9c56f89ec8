"""Production over one stream of daily batches: verdicts, shadow, probation, gates and requests, without a store.

With `ours` it is all of the bench that knows how production's functions are called; nothing is decided here.

Long because it is one of the two places that know these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from benchmarks.decisions import ours
from benchmarks.decisions.world import Floats
from incumbent.diagnosis import Evidence, diagnose
from incumbent.error_budget import judged_day, spent_before
from incumbent.evaluate.contest import Contest, Shadowed
from incumbent.evaluate.kept import is_proven, kept_for_later
from incumbent.evaluate.stage import best_of
from incumbent.evaluate.verdict import judge
from incumbent.features.profile import Profile
from incumbent.monitor import baseline, performance_verdict
from incumbent.monitor.recentred import label_facts
from incumbent.monitor.shadow import CHALLENGER, PREVIOUS, gaps_of, shadow_verdict
from incumbent.partitions import Grain, end_of, start_of
from incumbent.promote.probation import PROMOTE, probation
from incumbent.records import GateReport, Promotion
from incumbent.retrain import Decision, History, PastRequest, decide
from incumbent.stats import Measured, gathered

INSUFFICIENT, DAY = "insufficient_evidence", Grain.DAY
MOST_CHALLENGERS = 2
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Version:
    """A trained model.

    Attributes:
        name: Its name.
        weights: Its coefficients.
        trained: Numbers of the batches that it was trained on.
        since: First day of a candidate that was trained since a change alone; empty for others.
    """

    name: str
    weights: Floats
    trained: tuple[int, ...]
    since: str = ""

    @property
    def until(self) -> str:
        """First day that it has not seen."""
        return day_after(self.trained[-1])


@dataclass(frozen=True)
class Seat:
    """Who has the seat.

    Attributes:
        generation: From 1 on.
        version: The champion.
        partition: Partition whose request brought it first.
        watch: What judges its batches.
        reference: What it did on its gate rows.
        usual: How far its mean was from the previous champion's on those rows.
        previous: Generation before it; 0 if there is none to go back to.
    """

    generation: int
    version: Version
    partition: str
    watch: ours.Watch
    reference: Plain
    usual: Mapping[str, float] = field(default_factory=dict)
    previous: int = 0


@dataclass(frozen=True)
class Rows:
    """Labelled rows with what each version says of them.

    Attributes:
        batches: Numbers of the batches that they are of.
        labels: The truth.
        scores: By name of a version.
    """

    batches: tuple[int, ...]
    labels: Floats
    scores: Mapping[str, Floats]


class Policy:
    """What production remembers of a stream, and what it decides.

    Args:
        model: Settings.
        version: The first champion.
        watch: What judges its batches.
        rows: That it was gated on.
        partition: Partition that it came from.
    """

    def __init__(self, model: Any, version: Version, watch: ours.Watch, rows: Rows, partition: str) -> None:
        self.model, self.labelled, self.rarer = model, dict[str, int](), dict[str, int]()
        self.requests, self.reports = list[PastRequest](), list[GateReport]()
        self.ledger, self.seats = list[Promotion](), dict[int, Seat]()
        self.barred = dict[str, int]()
        self._sit(PROMOTE, version, watch, self._reference(version, rows), {}, partition)

    def promote(self, version: Version, watch: ours.Watch, rows: Rows, partition: str) -> None:
        """Give the seat to a challenger."""
        old = self.seat.version
        gaps = gaps_of("binary", rows.scores[version.name], rows.scores[old.name])
        usual = {name: gap for name, (gap, _) in gaps.items()}
        self._sit(PROMOTE, version, watch, self._reference(version, rows), usual, partition)

    def roll_back(self) -> Seat:
        """Give the seat back to the champion before this one, and return who has it now."""
        lost, back = self.seat, self.seats[self.seat.previous]
        self.barred[lost.version.name] = lost.generation
        back.watch.number = lost.watch.number
        self._sit("rollback", back.version, back.watch, back.reference, {}, back.partition)
        return self.seat

    def arrives(self, partition: str, batch: Profile) -> bool:
        """Judge a batch that arrives; return whether it is held."""
        found = self.seat.watch.alarm(batch)
        if not found.held:
            self.drift[partition] = found.verdict
            self.diagnoses[partition] = self._diagnosis(partition, batch.columns["score"].rows)
            self.scored.add(partition)
        return found.held

    def counts(self, partition: str, labels: Floats) -> None:
        """Note the labels of a batch."""
        self.labelled[partition] = int(labels.size)
        self.rarer[partition] = int(min(labels.sum(), labels.size - labels.sum()))

    def outcomes(self, partition: str, rows: Rows) -> None:
        """Judge the champion on a batch whose labels are in, and all who are in shadow beside it."""
        self.counts(partition, rows.labels)
        if partition not in self.scored:
            return  # another champion has scored it
        seat = self.seat
        own = rows.scores[seat.version.name]
        found = performance_verdict(
            partition, seat.generation, "bench", "binary", rows.labels, own, None, 1.0, seat.reference,
            self.model.monitor,
        )  # fmt: skip
        self.performance[partition] = vars(found)
        facts = label_facts("binary", rows.labels, own, None, seat.reference)
        self.diagnoses[partition] = self._diagnosis(partition, len(own), facts)
        if seat.previous and partition > seat.partition:
            before = self.seats[seat.previous].version.name
            self.before[partition] = self._beside(partition, before, PREVIOUS, rows, rows.labels)
        for report in self.in_shadow():
            if partition > report.partition:
                verdict = self._beside(partition, report.candidate, CHALLENGER, rows, rows.labels)
                self.challengers.setdefault(report.candidate, {})[partition] = verdict

    def unlabelled(self, partition: str, rows: Rows) -> None:
        """Compare the means of the champion and of the one before it, as long as there are no labels."""
        if self.seat.previous and partition in self.scored and partition > self.seat.partition:
            before = self.seats[self.seat.previous].version.name
            self.before[partition] = self._beside(partition, before, PREVIOUS, rows, None)

    def rolls_back(self) -> bool:
        """Return whether the champion loses its seat to the one before it."""
        if not self.before:
            return False
        found = probation(self.ledger, self.before, self.seat.usual, self.model.rollback, "binary")
        return found is not None and found.rolls_back

    def decides(self, partition: str) -> Decision:
        """Return whether a training is asked for."""
        seat = self.seat
        history = History(
            seat.generation, seat.partition, self.labelled, self.rarer, self.drift, self.performance, self.diagnoses,
            tuple(each for each in self.requests if each.partition <= partition),
            bool(seat.previous) and len(self.performance) < self.model.rollback.partitions,
            since=seat.version.since,
            spent=spent_before(self.reports, DAY, partition, ""),
        )  # fmt: skip
        return decide(self.model, partition, history)

    def judge(self, partition: str, candidates: Sequence[Version], rows: Rows, decision: Decision) -> str:
        """Let a request's candidates compete with the champion; return the best one's name, and note the answer."""
        verdicts = {
            each.name: judge(self._contest(partition, each, rows, len(candidates), decision.degraded))
            for each in candidates
        }
        best = best_of(verdicts)
        for name in sorted(verdicts, key=lambda each: each == best):
            self._report(partition, name, verdicts[name])
        learned = max(self.labelled)
        self.requests.append(PastRequest(partition, verdicts[best].verdict, decision.reason, learned=learned))
        return best

    def proven(self) -> tuple[GateReport, Shadowed, str] | None:
        """Return a challenger from shadow whose evidence is enough by now, and the newest partition of that."""
        for report in self.in_shadow():
            left, verdicts = kept_for_later(report.gates), self.challengers.get(report.candidate, {})
            keys = [key for key in sorted(verdicts) if verdicts[key]["judged"]][: self.model.rollback.partitions]
            asked = any(
                each.candidate == report.candidate and any(gate["gate"] == "evidence" for gate in each.gates)
                for each in self.reports
            )
            if left is None or not keys or asked:
                continue
            own = [verdicts[key] for key in keys]
            found, needed = gathered([left[1], *map(_measured, own)]), 1 / left[0]
            if is_proven(found, needed, own, self.model.gates):
                return report, Shadowed(found, needed, tuple(keys), is_champions=True), keys[-1]
        return None

    def judge_proven(self, partition: str, version: Version, rows: Rows, shadow: Shadowed) -> str:
        """Ask all other gates of a challenger from shadow; return the verdict."""
        verdict = judge(self._contest(partition, version, rows, 1, False, shadow))
        self._report(partition, version.name, verdict)
        self.requests.append(PastRequest(partition, verdict.verdict, "evidence"))
        return verdict.verdict

    def in_shadow(self) -> list[GateReport]:
        """Return the reports of the newest challengers that brought too little evidence against this champion."""
        answers = {report.request: report for report in self.reports}
        found = [each for each in answers.values() if each.verdict == INSUFFICIENT]
        return [each for each in found if each.champion_generation == self.seat.generation][-MOST_CHALLENGERS:]

    def _sit(
        self, action: str, version: Version, watch: ours.Watch, reference: Plain, usual: Plain, partition: str
    ) -> None:
        generation = len(self.ledger) + 1
        previous = generation - 1
        self.ledger.append(Promotion(generation, version.name, previous, "", action, ""))
        kept = previous if action == PROMOTE else 0
        self.seat = self.seats[generation] = Seat(generation, version, partition, watch, reference, usual, kept)
        self.scored, self.drift, self.performance = set[str](), dict[str, Plain](), dict[str, Plain]()
        self.diagnoses, self.before = dict[str, Plain](), dict[str, Plain]()
        self.challengers = dict[str, dict[str, Plain]]()

    def _reference(self, version: Version, rows: Rows) -> Plain:
        return baseline("binary", rows.labels, rows.scores[version.name], None)

    def _diagnosis(self, partition: str, rows: int, facts: Plain | None = None) -> Plain:
        """Return why a batch alarms: by the verdicts and labels, without a classifier, segments and sources."""
        gated = {name: self.seat.reference[name] for name in ("value", "error")}
        evidence = Evidence(
            partition, self.seat.generation, "bench", rows, drift=self.drift[partition],
            performance=self.performance.get(partition, {}), labels=facts or {}, reference=gated,
            alarm_z=self.model.monitor.alarm_z,
        )  # fmt: skip
        return vars(diagnose(evidence))

    def _beside(self, partition: str, other: str, role: str, rows: Rows, labels: Floats | None) -> Plain:
        scores = rows.scores[self.seat.version.name], rows.scores[other]
        versions = (self.seat.version.name, other)
        gaps = gaps_of("binary", *scores)
        return vars(
            shadow_verdict(partition, self.seat.generation, versions, role, "binary", gaps, labels, scores, None)
        )

    def _contest(
        self, partition: str, version: Version, rows: Rows, sharing: int, degraded: bool, shadow: Shadowed | None = None
    ) -> Contest:
        request = self._request(partition)
        return Contest(
            task="binary", labels=rows.labels, challenger=rows.scores[version.name],
            champion=rows.scores[self.seat.version.name], clusters=None, unit="rows",
            train_rows=len(version.trained) * len(rows.labels) // len(rows.batches), train_until=version.until,
            champion_train_until=self.seat.version.until, gate_from=ours.partition_of(rows.batches[0]),
            limits=self.model.gates, degraded=degraded, sharing=sharing, day=judged_day(partition, DAY),
            spent=spent_before(self.reports, DAY, partition, request), shadow=shadow,
            barred=self.barred.get(version.name, 0),
        )  # fmt: skip

    def _report(self, partition: str, candidate: str, verdict: Any) -> None:
        seat, request = self.seat, self._request(partition)
        self.reports.append(
            GateReport("bench", partition, candidate, seat.version.name, seat.generation, "", request,
                       verdict.verdict, verdict.gates, verdict.sentence)
        )  # fmt: skip

    def _request(self, partition: str) -> str:
        return f"{partition}-{len(self.requests)}"


def day_after(batch: int) -> str:
    """Return the first day after a batch (ISO date)."""
    return end_of(ours.partition_of(batch), DAY).date().isoformat()


def begins(batch: int) -> date:
    """Return the day of a batch."""
    return start_of(ours.partition_of(batch), DAY).date()


def _measured(verdict: Plain) -> Measured:
    return Measured(verdict["advantage"], verdict["error"], verdict["rows"], verdict["df"])
