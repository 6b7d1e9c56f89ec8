"""What production decides, asked without a store: the one module that knows how its functions are called.

Everything here hands arrays, profiles and verdicts to the functions that the tasks call. Nothing is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.replay.state import Days, Seat, State
from benchmarks.replay.trainings import Version
from benchmarks.replay.world import Floats, Places, World
from incumbent.classes import score_names
from incumbent.evaluate import Contest, Verdict, judge
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.leaks import look
from incumbent.evaluate.stage import best_of, cluster_codes
from incumbent.features.build import HISTORY
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.leaks import Finding, LeakReport
from incumbent.monitor import baseline, drift_verdict, performance_verdict
from incumbent.monitor.shadow import PREVIOUS, gaps_of, shadow_verdict
from incumbent.partitions import end_of
from incumbent.promote.probation import PROMOTE, probation
from incumbent.records import Promotion, digest_of
from incumbent.retrain import Decision, History, decide
from incumbent.retrain.channels import channels
from incumbent.retrain.history import PastRequest

QUIET = ("none", "info")


class Production:
    """Production's verdicts in a world.

    Args:
        world: The rows.
        cache: Folder of what was computed before.
        looks_for_leaks: Whether the gate against leaks is asked, which takes as long as a fit.
    """

    def __init__(self, world: World, cache: Path, *, looks_for_leaks: bool = True) -> None:
        self.world, self.model, self.cache = world, world.model, cache / "leaks"
        self.looks_for_leaks = looks_for_leaks
        self._features = cache_of(self._feature_profile)
        self._scores = cache_of(self._score_profile)

    def days(self, newest: str) -> Days:
        """Return how a training up to a partition divides its days."""
        until = end_of(newest, self.model.grain).date()
        first = until - timedelta(days=self.model.evaluate.holdout_days)
        return Days(first - timedelta(days=self.model.embargo_days), first, until)

    def broken(self, partition: str, earlier: Sequence[str], seat: Seat | None) -> list[str]:
        """Return what would hold a batch, one sentence for each finding."""
        importance = None if seat is None else seat.version.importance
        history = [self._features(key) for key in earlier[-HISTORY:]]
        found = findings(self._features(partition), history, importance, self.model.integrity)
        return [str(finding["sentence"]) for finding in found if finding["holds"]]

    def drift(self, partition: str, seat: Seat) -> dict[str, Any]:
        """Return the drift verdict of a batch that a champion has scored."""
        names = score_names(self.model.label.classes)
        verdict = drift_verdict(
            partition, seat.generation, seat.version.digest, self._whole(partition, seat.version),
            [self._whole(key, seat.version) for key in seat.window], seat.version.importance, self.model.monitor, names,
        )  # fmt: skip
        return _plain(verdict)

    def performance(self, partition: str, seat: Seat) -> dict[str, Any]:
        """Return the performance verdict of a batch whose outcomes are in."""
        places = self.world.partitions[partition]
        rows = self.world.labelled(places)
        codes, _ = self._clusters(rows)
        verdict = performance_verdict(
            partition, seat.generation, seat.version.digest, self.model.task, self.world.labels[rows],
            seat.version.scores[rows], codes, float(self.world.known[places].mean()), seat.reference,
            self.model.monitor, self.model.label.classes,
        )  # fmt: skip
        return _plain(verdict)

    def shadow(self, partition: str, state: State, *, is_known: bool) -> dict[str, Any] | None:
        """Return how the champion before this one does on a batch that this one has scored; None if nobody looks."""
        seat, before = state.seat, self._before(state)
        if seat is None or before is None or partition <= seat.partition:
            return None
        if state.scored.get(partition) != seat.generation:
            return None
        places, task, classes = self.world.partitions[partition], self.model.task, self.model.label.classes
        gaps = gaps_of(task, seat.version.scores[places], before.version.scores[places], classes)
        rows = self.world.labelled(places)
        codes, _ = self._clusters(rows)
        scores = (seat.version.scores[rows], before.version.scores[rows])
        labels = self.world.labels[rows] if is_known else None
        versions = (seat.version.digest, before.version.digest)
        return _plain(shadow_verdict(partition, seat.generation, versions, PREVIOUS, task, gaps, labels, scores, codes))

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
        """Return what a version does on gate rows, which it is held against later."""
        rows = self.gate_rows(days)
        codes, _ = self._clusters(rows)
        classes = self.model.label.classes
        return baseline(self.model.task, self.world.labels[rows], version.scores[rows], codes, classes)

    def gate_rows(self, days: Days) -> Places:
        """Return the places of the rows that contenders are compared on."""
        return self.world.labelled(self.world.between(days.gate_from, days.gate_until))

    def contest(
        self, challenger: Version, seat: Seat | None, days: Days, *, degraded: bool, looked: bool = True
    ) -> Contest:
        """Return the contest that a challenger is judged in; see `incumbent.evaluate.stage`."""
        rows, classes = self.gate_rows(days), self.model.label.classes
        codes, unit = self._clusters(rows)
        chance: float | Floats = 0.0
        alone, feature = None, ""
        if seat is None:
            training = self.world.rows(self.world.labelled(self.world.between(None, days.train_until)))
            chance = _mean_label(training["label"].to_numpy(), len(classes))
            names = self.world.history.features
            feature, alone = best_single_feature(training, self.world.rows(rows), names, self.model.task, len(classes))
        return Contest(
            task=self.model.task,
            labels=self.world.labels[rows],
            challenger=challenger.scores[rows],
            champion=None if seat is None else seat.version.scores[rows],
            clusters=codes,
            unit=unit,
            train_rows=challenger.train_rows,
            train_until=challenger.train_until,
            champion_train_until="" if seat is None else seat.version.train_until,
            gate_from=days.gate_from.isoformat(),
            limits=self.model.gates,
            chance=chance,
            baseline=alone,
            baseline_feature=feature,
            degraded=degraded,
            leaks=self._leaks(days) if looked and self.looks_for_leaks else None,
            classes=tuple(classes),
        )

    def judge(
        self, challengers: Sequence[Version], seat: Seat | None, days: Days, *, degraded: bool
    ) -> tuple[Verdict, Version]:
        """Return the gates' verdict on the best of a request's challengers, which share one error rate."""
        contests = [
            replace(self.contest(each, seat, days, degraded=degraded), sharing=len(challengers)) for each in challengers
        ]
        verdicts = {str(number): judge(contest) for number, contest in enumerate(contests)}
        best = best_of(verdicts)
        return verdicts[best], challengers[int(best)]

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
        drift, performance = (
            {key: each for key, each in found.items() if key <= partition and each["generation"] == generation}
            for found in (state.drift, state.performance)
        )
        return History(
            generation=generation,
            promoted_partition=seat.partition if seat else "",
            labelled={key: rows for key, rows in state.labelled.items() if key <= partition},
            rarer={key: rows for key, rows in state.rarer.items() if key <= partition},
            drift=drift,
            performance=performance,
            requests=tuple(
                PastRequest(each.partition, each.verdict, each.reason)
                for each in state.trainings
                if each.partition <= partition
            ),
            probation=self._on_probation(state, performance),
        )

    def _before(self, state: State) -> Seat | None:
        """Return who had the seat before a champion that was promoted."""
        return None if state.seat is None or state.seat.is_back else state.seats.get(state.seat.previous)

    def _on_probation(self, state: State, performance: Mapping[str, Mapping[str, Any]]) -> bool:
        judged = sum(bool(each["judged"]) for each in performance.values())
        return self._before(state) is not None and judged < self.model.rollback.partitions

    def _clusters(self, rows: Places) -> tuple[Any, str]:
        return cluster_codes(self.world.slots.take(rows), self.model.evaluate.cluster)

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

    def _leaks(self, days: Days) -> LeakReport:
        """Return what the training rows give away; rows without a label are evidence too."""
        places, world = self.world.between(None, days.train_until), self.world
        given = [digest_of(each.tobytes()) for each in (places, world.labels[places])]
        file = self.cache / f"{digest_of([world.history.digest, world.model.task, given])[:20]}.json"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(look(world.rows(places), world.history.features, world.model.task))))
        plain = json.loads(file.read_text())
        return LeakReport(**{**plain, "findings": tuple(Finding(**each) for each in plain["findings"])})


def cache_of(function: Any) -> Any:
    """Return a function that remembers what it has returned, by the text of what it was asked."""
    known: dict[tuple[str, ...], Any] = {}

    def remembered(partition: str, *version: Version) -> Any:
        key = (partition, *(each.digest for each in version))
        if key not in known:
            known[key] = function(partition, *version)
        return known[key]

    return remembered


def _mean_label(labels: Floats, classes: int) -> float | Floats:
    if classes:
        return np.bincount(labels.astype(np.int64), minlength=classes) / max(labels.size, 1)
    return float(np.mean(labels)) if labels.size else 0.0


def _entry(seat: Seat) -> Promotion:
    action = "rollback" if seat.is_back else PROMOTE
    return Promotion(seat.generation, seat.version.digest, seat.previous, "", action, "")


def _plain(verdict: Any) -> dict[str, Any]:
    plain: dict[str, Any] = verdict.to_json()
    return plain
