"""Who beats the champion, as production's gates say: of new challengers, and of those that were in shadow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.replay.state import Days, Seat, State
from benchmarks.replay.trainings import Version
from benchmarks.replay.world import Floats, Places, World
from incumbent.error_budget import judged_day, spent_before, tried_before
from incumbent.errors import ModelError
from incumbent.evaluate import Contest, Verdict, judge
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.columns import Asked
from incumbent.evaluate.contest import Shadowed
from incumbent.evaluate.kept import kept_for_later
from incumbent.evaluate.leaks import look
from incumbent.evaluate.stage import best_of, cluster_codes
from incumbent.functions import is_gate
from incumbent.leaks import Finding, LeakReport
from incumbent.partitions import end_of
from incumbent.records import GateReport, digest_of
from incumbent.stats import Measured, gathered

INSUFFICIENT = "insufficient_evidence"
MOST_CHALLENGERS = 2


class Contests:
    """Contests in a world.

    Args:
        world: The rows.
        cache: Folder of what was computed before.
        looks_for_leaks: Whether the gate against leaks is asked, which takes as long as a fit.
    """

    def __init__(self, world: World, cache: Path, *, looks_for_leaks: bool = True) -> None:
        self.world, self.model, self.cache = world, world.model, cache / "leaks"
        self.looks_for_leaks = looks_for_leaks

    def days(self, newest: str) -> Days:
        """Return how a training up to a partition divides its days."""
        until = end_of(newest, self.model.grain).date()
        first = until - timedelta(days=self.model.evaluate.holdout_days)
        return Days(first - timedelta(days=self.model.embargo_days), first, until)

    def gate_rows(self, days: Days) -> Places:
        """Return the places of the rows that contenders are compared on."""
        return self.world.labelled(self.world.between(days.gate_from, days.gate_until))

    def clusters(self, rows: Places) -> tuple[Any, str]:
        """Return the cluster of each row, and what a cluster is."""
        return cluster_codes(self.world.slots.take(pa.array(rows)), self.model.evaluate.cluster)

    def contest(self, challenger: Version, seat: Seat | None, days: Days, *, looked: bool = True) -> Contest:
        """Return the contest that a challenger is judged in; see `incumbent.evaluate.stage`."""
        rows, classes = self.gate_rows(days), self.model.label.classes
        codes, unit = self.clusters(rows)
        own = self.world.rows(rows)
        chance: float | Floats = 0.0
        alone, feature = None, ""
        if seat is None:
            training = self.world.rows(self.world.labelled(self.world.between(None, days.train_until)))
            chance = _mean_label(training["label"].to_numpy(), len(classes))
            names = self.world.history.features
            feature, alone = best_single_feature(training, own, names, self.model.task, len(classes))
        asked = Asked(self.model, challenger.manifest, own, _nothing_beside)
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
            leaks=self._leaks(days) if looked and self.looks_for_leaks else None,
            classes=tuple(classes),
            days=len(np.unique(self.world.days[rows])),
            slices=asked.slices() if seat else None,
            groups=asked.fairness(),
            rows=own,
            by_loss=seat is not None
            and challenger.manifest.recalibrated
            and challenger.manifest.trees == seat.version.manifest.trees,
            **self._own_gates(),
        )

    def judge(
        self, state: State, challengers: Sequence[Version], days: Days, partition: str, *, degraded: bool
    ) -> tuple[Verdict, Version]:
        """Return the gates' verdict on the best of a request's challengers, which share one error rate."""
        request = f"{partition}-r{1 + sum(each.partition == partition for each in state.trainings)}"
        known = self._known(state, partition, request)
        alone = (self.contest(each, state.seat, days) for each in challengers)
        contests = [
            replace(contest, sharing=len(challengers), degraded=degraded, barred=self._barred(state, each), **known)
            for contest, each in zip(alone, challengers, strict=True)
        ]
        verdicts = {str(number): judge(contest) for number, contest in enumerate(contests)}
        best = best_of(verdicts)
        for number in sorted(verdicts, key=lambda each: each == best):
            self._report(state, challengers[int(number)], verdicts[number], partition, request)
        return verdicts[best], challengers[int(best)]

    def in_shadow(self, state: State) -> list[GateReport]:
        """Return the reports of the newest challengers that brought too little evidence against this champion."""
        if state.seat is None:
            return []
        answers = {report.request: report for report in state.reports}
        found = [each for each in answers.values() if each.verdict == INSUFFICIENT]
        now = [each for each in found if each.champion_generation == state.seat.generation]
        return now[-MOST_CHALLENGERS:]

    def gathered(self, state: State, report: GateReport) -> tuple[str, Shadowed] | None:
        """Return the newest partition of a challenger in shadow and its evidence so far; None without any."""
        left, verdicts = kept_for_later(report.gates), state.challengers.get(report.candidate, {})
        generation = state.seat.generation if state.seat else 0
        own = {key: each for key, each in verdicts.items() if each["generation"] == generation and each["judged"]}
        keys = sorted(own)[: self.model.rollback.partitions]
        if left is None or not keys:
            return None
        each = (own[key] for key in keys)
        found = gathered([left[1], *(Measured(one["advantage"], one["error"], one["rows"], one["df"]) for one in each)])
        return keys[-1], Shadowed(found, 1 / left[0], tuple(keys), is_champions=True)

    def judge_again(
        self, state: State, report: GateReport, version: Version, partition: str, shadow: Shadowed
    ) -> tuple[Verdict, Days]:
        """Return the gates' verdict on a challenger whose evidence is enough, on the rows that it gathered it on."""
        first = end_of(report.partition, self.model.grain).date()
        until = end_of(partition, self.model.grain).date()
        days = Days(self.days(partition).train_until, first, until)
        request = f"{partition}-r{1 + sum(each.partition == partition for each in state.trainings)}"
        contest = self.contest(version, state.seat, days, looked=False)
        known = self._known(state, partition, request)
        verdict = judge(replace(contest, shadow=shadow, barred=self._barred(state, version), **known))
        self._report(state, version, verdict, partition, request)
        return verdict, days

    def _known(self, state: State, partition: str, request: str) -> dict[str, Any]:
        grain = self.model.grain
        return {
            "day": judged_day(partition, grain),
            "spent": spent_before(state.reports, grain, partition, request),
            "tried": tried_before(state.reports, grain, partition, request),
        }

    def _report(self, state: State, version: Version, verdict: Verdict, partition: str, request: str) -> None:
        seat = state.seat
        state.reports.append(
            GateReport(
                self.model.name, partition, version.digest, seat.version.digest if seat else "",
                seat.generation if seat else 0, "", request, verdict.verdict, verdict.gates, verdict.sentence,
            )
        )  # fmt: skip

    def _barred(self, state: State, version: Version) -> int:
        """Return the generation whose seat a version lost to a rollback; 0 if it did not."""
        lost = [state.seats[seat.previous] for seat in state.seats.values() if seat.is_back]
        return next((each.generation for each in lost if each.version.digest == version.digest), 0)

    def _own_gates(self) -> dict[str, Any]:
        functions = self.model.functions
        names = sorted(name for name in functions.defined if is_gate(name))
        called = {name: partial(functions.call, name, error=ModelError, where="a replay, model.py") for name in names}
        return {"own": called} if names else {}

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


def _nothing_beside(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    raise ValueError(f"a replay has no columns beside the features: {', '.join(columns)}")


def _mean_label(labels: Floats, classes: int) -> float | Floats:
    if classes:
        return np.bincount(labels.astype(np.int64), minlength=classes) / max(labels.size, 1)
    return float(np.mean(labels)) if labels.size else 0.0
