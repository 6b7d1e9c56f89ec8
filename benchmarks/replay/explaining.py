"""Why a batch alarms, as production explains it; see `incumbent_airflow.diagnosing`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.replay.state import Seat
from benchmarks.replay.world import Floats, Places, World
from incumbent.diagnosis import MOVED, Evidence, diagnose
from incumbent.evaluate.stage import cluster_codes
from incumbent.features.lineage import sources_of
from incumbent.monitor.domain import Domain, tell_apart
from incumbent.monitor.estimate import Known, estimate, recalibrate
from incumbent.monitor.recentred import label_facts
from incumbent.monitor.segments import Side, moved_segments
from incumbent.stats import class_losses

SAMPLE, SEED, THREADS = 20_000, 7, 2
Verdict = Mapping[str, Any]


class Explaining:
    """Explains batches of a world; what tells a batch from the training rows is looked at once."""

    def __init__(self, world: World) -> None:
        self.world, self.model, self.names = world, world.model, list(world.history.features)
        self._domains = dict[tuple[str, ...], tuple[Verdict, list[dict[str, Any]]]]()

    def diagnosis(self, partition: str, seat: Seat, drift: Verdict, performance: Verdict | None) -> dict[str, Any]:
        """Return why a batch alarms, with its outcomes or without."""
        world, places = self.world, self.world.partitions[partition]
        about = (partition, seat.generation, seat.version.digest)
        evidence = Evidence(
            *about, len(places), drift=drift, performance=performance or {}, alarm_z=self.model.monitor.alarm_z,
            estimate=self._estimate(about, places, seat, drift),
            sources=sources_of(world.history.folder.features_sql, self.names),
        )  # fmt: skip
        if evidence.judged:
            rows = world.labelled(places)
            gated = {name: seat.reference[name] for name in ("value", "error")}
            facts = label_facts(
                self.model.task, world.labels[rows], seat.version.scores[rows], self._codes(rows), seat.reference
            )
            evidence = replace(evidence, reference=gated, labels=facts)
        if evidence.tier in MOVED:
            domain, segments = self._moved_inputs(places, seat, partition)
            evidence = replace(evidence, domain=domain, segments=tuple(segments))
        if evidence.channels:
            found = self._moved_losses(world.labelled(places), seat)
            evidence = replace(evidence, segments=(*evidence.segments, *found))
        plain: dict[str, Any] = diagnose(evidence).to_json()
        return plain

    def _estimate(self, about: tuple[str, int, str], places: Places, seat: Seat, drift: Verdict) -> dict[str, Any]:
        """Return the estimate without labels, of gate rows that look like the batch where that has moved."""
        world, rows = self.world, self._gate_rows(seat)
        labels, scores, codes, weights = world.labels[rows], seat.version.scores[rows], self._codes(rows), None
        if drift.get("tier") in MOVED:
            batch = _drawn(places)
            domain = self._apart(rows, batch)
            if domain.finding["state"] == "told apart":
                at = domain.reference_rows
                labels, scores, weights = labels[at], scores[at], domain.weights
                codes = None if codes is None else codes[at]
        fitted = recalibrate(self.model.task, Known(labels, scores, codes, weights))
        found = estimate(
            *about, self.model.task, seat.version.scores[places], fitted, seat.reference, self._codes(places)
        )
        plain: dict[str, Any] = found.to_json()
        return plain if plain["value"] is not None else {}

    def _moved_inputs(self, places: Places, seat: Seat, partition: str) -> tuple[Verdict, list[dict[str, Any]]]:
        key = (partition, *seat.window)
        if key not in self._domains:
            trained = _drawn(np.concatenate([self.world.partitions[each] for each in seat.window]))
            batch = _drawn(places)
            domain, segments = self._apart(trained, batch), list[dict[str, Any]]()
            if domain.finding["state"] == "told apart":
                before = self._side(trained[domain.reference_rows], domain.reference_scores)
                after = self._side(batch[domain.batch_rows], domain.batch_scores)
                segments = [{**found, "by": "inputs"} for found in moved_segments(before, after, self.names)]
            self._domains[key] = (dict(domain.finding), segments)
        return self._domains[key]

    def _moved_losses(self, rows: Places, seat: Seat) -> list[dict[str, Any]]:
        before, after = (self._side(each, self._losses(each, seat)) for each in (self._gate_rows(seat), _drawn(rows)))
        return [{**found, "by": "losses"} for found in moved_segments(before, after, self.names)]

    def _losses(self, rows: Places, seat: Seat) -> Floats:
        labels, scores = self.world.labels[rows], seat.version.scores[rows]
        if self.model.task == "regression":
            squared: Floats = np.square(labels - scores)
            return squared
        return class_losses(labels, scores if scores.ndim == 2 else np.column_stack([1 - scores, scores]))

    def _gate_rows(self, seat: Seat) -> Places:
        return _drawn(self.world.labelled(self.world.between(seat.days.gate_from, seat.days.gate_until)))

    def _apart(self, reference: Places, batch: Places) -> Domain:
        first, second = self._codes(reference), self._codes(batch)
        codes = None if first is None or second is None else (first, second)
        before, after = self.world.rows(reference), self.world.rows(batch)
        return tell_apart(before, after, self.names, 2 * SAMPLE, SEED, THREADS, codes)

    def _side(self, rows: Places, values: Floats) -> Side:
        return Side(self.world.rows(rows).select(self.names), values, self._codes(rows))

    def _codes(self, rows: Places) -> Any:
        return cluster_codes(self.world.slots.take(pa.array(rows)), self.model.evaluate.cluster)[0]


def _drawn(places: Places) -> Places:
    if len(places) <= SAMPLE:
        return places
    drawn: Places = np.sort(np.random.default_rng(SEED).choice(places, SAMPLE, replace=False))
    return drawn
