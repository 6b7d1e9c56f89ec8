"""What production decides, asked without a store.

With `contests` and `explaining` it is all that knows how production's functions are called. Everything here
hands arrays, profiles and verdicts to the functions that the tasks call. Nothing is decided here.

Long because each kind of decision is asked here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.replay.contests import Contests
from benchmarks.replay.explaining import Explaining
from benchmarks.replay.state import Days, Seat, State, Training
from benchmarks.replay.trainings import Version
from benchmarks.replay.world import Floats, World
from incumbent.classes import score_names
from incumbent.error_budget import spent_before
from incumbent.evaluate import Verdict
from incumbent.evaluate.contest import Shadowed
from incumbent.evaluate.kept import is_proven
from incumbent.features.build import HISTORY
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.monitor import Judged, Reference, baseline, drift_verdict, performance_verdict, reference_of
from incumbent.monitor.diversity import output_diversity, with_diversity
from incumbent.monitor.reference import NEWEST
from incumbent.monitor.shadow import CHALLENGER, PREVIOUS, gaps_of, shadow_verdict
from incumbent.promote.probation import PROMOTE, probation
from incumbent.records import GateReport, Promotion
from incumbent.retrain import Decision, History, decide
from incumbent.retrain.channels import channels
from incumbent.retrain.history import PastRequest

QUIET = ("none", "info")
HOUR_S = 3600


@dataclass(frozen=True)
class Proven:
    """A challenger whose evidence in shadow is enough by now.

    Attributes:
        report: Of the gates that it had not passed.
        version: The challenger.
        partition: Newest partition that it was compared on.
        shadow: What was gathered.
    """

    report: GateReport
    version: Version
    partition: str
    shadow: Shadowed


class Production:
    """Production's verdicts in a world.

    Args:
        world: The rows.
        cache: Folder of what was computed before.
        looks_for_leaks: Whether the gate against leaks is asked, which takes as long as a fit.
    """

    def __init__(self, world: World, cache: Path, *, looks_for_leaks: bool = True) -> None:
        self.world, self.model = world, world.model
        self.contests = Contests(world, cache, looks_for_leaks=looks_for_leaks)
        self._explaining = Explaining(world)
        self._features = cache_of(self._feature_profile)
        self._scores = cache_of(self._score_profile)
        self._references = dict[tuple[str, ...], Reference]()

    def days(self, newest: str) -> Days:
        """Return how a training up to a partition divides its days."""
        return self.contests.days(newest)

    def broken(self, partition: str, earlier: Sequence[str], seat: Seat | None) -> list[str]:
        """Return what would hold a batch, one sentence for each finding."""
        importance = None if seat is None else seat.version.importance
        history = [self._features(key) for key in earlier[-HISTORY:]]
        found = findings(self._features(partition), history, importance, self.model.integrity)
        return [str(finding["sentence"]) for finding in found if finding["holds"]]

    def drift(self, partition: str, seat: Seat, state: State) -> dict[str, Any]:
        """Return the drift verdict of a batch that a champion has scored, and note its counts."""
        names, version = score_names(self.model.label.classes), seat.version
        reference, batch = self._reference(seat), self._whole(partition, version)
        counts = reference.count(batch)
        later = self._judged_before(partition, version, state)
        state.counts[partition] = (version.digest, counts)
        verdict = drift_verdict(
            partition, seat.generation, version.digest, batch, reference, version.importance, self.model.monitor, names,
            later, self.model.grain,
        )  # fmt: skip
        past = [{each: _cells(reference.counts[each][at]) for each in names} for at in range(len(reference.partitions))]
        now = {each: _cells(counts.get(each, ())) for each in names}
        return _plain(with_diversity(verdict, output_diversity(now, past)))

    def diagnosis(self, partition: str, state: State) -> dict[str, Any]:
        """Return why a batch alarms, as far as that is known by now."""
        seat = state.seats[state.scored[partition]]
        return self._explaining.diagnosis(partition, seat, state.drift[partition], state.performance.get(partition))

    def performance(self, partition: str, seat: Seat) -> dict[str, Any]:
        """Return the performance verdict of a batch whose outcomes are in."""
        places = self.world.partitions[partition]
        rows = self.world.labelled(places)
        codes, _ = self.contests.clusters(rows)
        verdict = performance_verdict(
            partition, seat.generation, seat.version.digest, self.model.task, self.world.labels[rows],
            seat.version.scores[rows], codes, float(self.world.known[places].mean()), seat.reference,
            self.model.monitor, self.model.label.classes,
        )  # fmt: skip
        return _plain(verdict)

    def shadows(self, partition: str, state: State, *, is_known: bool) -> None:
        """Note how those in shadow do on a batch that the champion has scored: the one before it, and challengers."""
        seat, before = state.seat, self._before(state)
        if seat is None or state.scored.get(partition) != seat.generation:
            return
        if before is not None and partition > seat.partition:
            state.shadow[partition] = self._shadow(partition, seat, before.version, PREVIOUS, is_known=is_known)
        for report in self.contests.in_shadow(state):
            if partition > report.partition:
                version = state.fitted[report.candidate]
                found = self._shadow(partition, seat, version, CHALLENGER, is_known=is_known)
                state.challengers.setdefault(report.candidate, {})[partition] = found

    def proven(self, state: State) -> Proven | None:
        """Return the newest challenger whose evidence in shadow is enough by now and that nobody has judged on it."""
        asked = {each.candidate for each in state.reports if any(gate["gate"] == "evidence" for gate in each.gates)}
        for report in reversed(self.contests.in_shadow(state)):
            found = self.contests.gathered(state, report)
            if report.candidate in asked or found is None:
                continue
            partition, shadow = found
            verdicts = [state.challengers[report.candidate][key] for key in shadow.verdicts]
            if is_proven(shadow.evidence, shadow.needed, verdicts, self.model.gates):
                return Proven(report, state.fitted[report.candidate], partition, shadow)
        return None

    def judge(
        self, state: State, challengers: Sequence[Version], days: Days, partition: str, *, degraded: bool
    ) -> tuple[Verdict, Version]:
        """Return the gates' verdict on the best of a request's challengers, and which one that is."""
        return self.contests.judge(state, challengers, days, partition, degraded=degraded)

    def judge_proven(self, state: State, found: Proven) -> tuple[Verdict, Days]:
        """Return the gates' verdict on a challenger from shadow, and the days that it was judged on."""
        return self.contests.judge_again(state, found.report, found.version, found.partition, found.shadow)

    def _shadow(self, partition: str, seat: Seat, other: Version, role: str, *, is_known: bool) -> dict[str, Any]:
        places, task, classes = self.world.partitions[partition], self.model.task, self.model.label.classes
        codes, _ = self.contests.clusters(places)
        gaps = gaps_of(task, seat.version.scores[places], other.scores[places], classes, codes)
        rows = self.world.labelled(places)
        codes, _ = self.contests.clusters(rows)
        labels = self.world.labels[rows] if is_known else None
        versions, scores = (seat.version.digest, other.digest), (seat.version.scores[rows], other.scores[rows])
        by_loss = seat.version.manifest.trees == other.manifest.trees
        return _plain(
            shadow_verdict(
                partition, seat.generation, versions, role, task, gaps, labels, scores, codes, by_loss=by_loss
            )
        )

    def rolls_back(self, state: State) -> str:
        """Return why the champion loses its seat to the one before it; empty if it keeps it."""
        seat, before = state.seat, self._before(state)
        if seat is None or before is None or not state.shadow or not self.model.rollback.automatic:
            return ""
        rows = self.world.labelled(self.world.between(seat.days.gate_from, seat.days.gate_until))
        scores = (seat.version.scores[rows], before.version.scores[rows])
        usual = {name: gap for name, (gap, _) in gaps_of(self.model.task, *scores, self.model.label.classes).items()}
        ledger = [_entry(each) for each in state.seats.values()]
        own = {key: each for key, each in state.shadow.items() if each["generation"] == seat.generation}
        found = probation(ledger, own, usual, self.model.rollback, self.model.task)
        return found.sentence if found is not None and found.rolls_back else ""

    def reference(self, version: Version, days: Days) -> dict[str, Any]:
        """Return what a version does on gate rows, which it is held against later; nothing of rows that say nothing.

        Those are too few for any gate: only a policy without gates gives the seat on them.
        """
        rows = self.contests.gate_rows(days)
        if len(np.unique(self.world.labels[rows])) < 2:
            return {}
        codes, _ = self.contests.clusters(rows)
        classes = self.model.label.classes
        return baseline(self.model.task, self.world.labels[rows], version.scores[rows], codes, classes)

    def decide(self, state: State, partition: str) -> Decision:
        """Return whether production asks for a training."""
        return decide(self.model, partition, self._history(state, partition))

    def is_due_first(self, state: State, partition: str) -> bool:
        """Return whether there are rows enough for a first training, as production counts them."""
        return (
            decide(self.model, partition, replace(self._history(state, partition), requests=())).reason == "cold_start"
        )

    def labelled_alarms(self, state: State, partition: str) -> list[str]:
        """Return what alarms now that a partition's outcomes are in."""
        found = channels(self._history(state, partition), partition, self.model.monitor.alarm_z)
        return [channel.says for channel in found if channel.fired]

    def rarer(self, labels: Floats) -> int:
        """Return how many labels are of the rarer class; all of them, for a regression."""
        if self.model.task == "regression":
            return len(labels)
        return int(np.bincount(labels.astype(np.int64), minlength=len(self.model.label.classes) or 2).min())

    def _history(self, state: State, partition: str) -> History:
        seat = state.seat
        generation = seat.generation if seat else 0
        drift, performance, diagnoses = (
            {key: each for key, each in found.items() if key <= partition and each["generation"] == generation}
            for found in (state.drift, state.performance, state.diagnoses)
        )
        return History(
            generation=generation,
            promoted_partition=seat.partition if seat else "",
            labelled={key: rows for key, rows in state.labelled.items() if key <= partition},
            rarer={key: rows for key, rows in state.rarer.items() if key <= partition},
            drift=drift,
            performance=performance,
            diagnoses=diagnoses,
            requests=tuple(_past(each) for each in state.trainings if each.partition <= partition),
            probation=self._on_probation(state, performance),
            since=_with_trees(state).manifest.since if seat else "",
            trained_partition=_trained(state) if seat and seat.version.manifest.recalibrated else "",
            spent=spent_before(state.reports, self.model.grain, partition, ""),
        )

    def _before(self, state: State) -> Seat | None:
        """Return who had the seat before a champion that was promoted."""
        return None if state.seat is None or state.seat.is_back else state.seats.get(state.seat.previous)

    def _on_probation(self, state: State, performance: Mapping[str, Mapping[str, Any]]) -> bool:
        judged = sum(bool(each["judged"]) for each in performance.values())
        return self._before(state) is not None and judged < self.model.rollback.partitions

    def _reference(self, seat: Seat) -> Reference:
        key = (seat.version.digest, *seat.window)
        if key not in self._references:
            profiles = [self._whole(each, seat.version) for each in seat.window]
            self._references[key] = reference_of(profiles, seat.window, seat.version.splits)
        return self._references[key]

    def _judged_before(self, partition: str, version: Version, state: State) -> list[Judged]:
        held = {key for key, _ in state.held}
        keys = sorted(key for key in state.scored if key < partition)[-2 * NEWEST :]
        return [
            Judged(key, state.drift[key]["tier"], state.counts[key][1])
            for key in keys
            if key in state.counts and state.counts[key][0] == version.digest and key not in held
        ]

    def _whole(self, partition: str, version: Version) -> Profile:
        return Profile({**self._features(partition).columns, **self._scores(partition, version).columns})

    def _feature_profile(self, partition: str) -> Profile:
        rows = self.world.features.take(self.world.partitions[partition])
        return profile(rows, self.world.history.features)

    def _score_profile(self, partition: str, version: Version) -> Profile:
        names = score_names(self.model.label.classes)
        scores = version.scores[self.world.partitions[partition]]
        columns = scores.reshape(len(scores), len(names)).T
        return profile(pa.table(dict(zip(names, columns, strict=True))), names)


def cache_of(function: Any) -> Any:
    """Return a function that remembers what it has returned, by the text of what it was asked."""
    known: dict[tuple[str, ...], Any] = {}

    def remembered(partition: str, *version: Version) -> Any:
        key = (partition, *(each.digest for each in version))
        if key not in known:
            known[key] = function(partition, *version)
        return known[key]

    return remembered


def _cells(counts: Sequence[float]) -> dict[str, int]:
    return {str(at): int(count) for at, count in enumerate(counts) if count}


def _entry(seat: Seat) -> Promotion:
    action = "rollback" if seat.is_back else PROMOTE
    return Promotion(seat.generation, seat.version.digest, seat.previous, "", action, "")


def _past(training: Training) -> PastRequest:
    core_hours = sum(version.core_s for version in training.versions) / HOUR_S
    learned = "" if training.recalibrates else training.learned
    return PastRequest(
        training.partition, training.verdict, training.reason, core_hours, recalibrates=training.recalibrates,
        learned=learned,
    )  # fmt: skip


def _trained(state: State) -> str:
    """Return the partition that the champion's trees were promoted with."""
    return _first(state)[_with_trees(state).digest].partition


def _with_trees(state: State) -> Version:
    """Return the version whose trees the champion has."""
    if state.seat is None:
        raise ValueError("nobody has the seat")
    return _first(state)[state.seat.version.manifest.trees].version


def _first(state: State) -> dict[str, Seat]:
    return {seat.version.digest: seat for seat in reversed(state.seats.values())}


def _plain(verdict: Any) -> dict[str, Any]:
    plain: dict[str, Any] = verdict.to_json()
    return plain
