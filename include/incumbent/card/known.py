"""Everything that is on record about a version and that its card tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from incumbent.config import Model
from incumbent.evaluate.figures import GateFigures
from incumbent.features.inputs import PROFILES
from incumbent.provenance.delivered import deliveries
from incumbent.provenance.version import Seat, seats_of
from incumbent.records import GateReport, ModelVersion, Part, RetrainRequest, Snapshot, Training, TrainingCost
from incumbent.store import ModelStore
from incumbent.verdict_names import VERDICTS

MOST_PARTITIONS = 400  # of a training set, whose deliveries are looked up for a card


@dataclass(frozen=True)
class Delivered:
    """What a source gave to a training set.

    Attributes:
        source: Its name.
        role: `batch`, `outcomes` or `context`.
        contract: Digest of its contract on the day of the training.
        partitions: Partitions of the window; 0 where the training set does not name them.
        rows: Rows accepted; None where that is not on record.
        aside: Rows of the same deliveries that were set aside; None where that is not on record.
    """

    source: str
    role: str
    contract: str
    partitions: int = 0
    rows: int | None = None
    aside: int | None = None


@dataclass(frozen=True)
class Known:
    """A version and what is on record about it.

    Attributes:
        store: The model's store.
        version: Its record.
        today: The model's configuration today, for what an earlier release has not kept.
    """

    store: ModelStore
    version: ModelVersion
    today: Model

    @cached_property
    def of_then(self) -> Model | None:
        """The configuration that it was trained by, every default written out; None if that was not kept."""
        if not self.version.order:
            return None
        try:
            return Model.model_validate(json.loads(self.store.objects.get(self.version.order))["model"])
        except ValidationError:  # of a release whose keys this one does not know any more
            return None

    @property
    def model(self) -> Model:
        """The configuration that the card goes by."""
        return self.of_then or self.today

    @cached_property
    def written(self) -> str:
        """When it was fitted, in UTC."""
        return self.store.records.written(ModelVersion.kind, self.version.digest).isoformat()

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """Its training set; None of an adopted version."""
        name = self.version.snapshot
        return self.store.records.get(Snapshot, name) if name else None

    @cached_property
    def training(self) -> Training | None:
        """The training that it came out of, the first if there were several; None of an adopted version."""
        found = [each for each in self.store.records.all(Training) if each.version == self.version.digest]
        return found[0] if found else None

    @cached_property
    def cost(self) -> TrainingCost | None:
        """What that training took."""
        records, name = self.store.records, self.training.name if self.training else ""
        return records.get(TrainingCost, name) if name and records.has(TrainingCost.kind, name) else None

    @cached_property
    def request(self) -> RetrainRequest | None:
        """Why that training was asked for."""
        records, name = self.store.records, f"{self.training.request}/open" if self.training else ""
        return records.get(RetrainRequest, name) if name and records.has(RetrainRequest.kind, name) else None

    @cached_property
    def reports(self) -> tuple[GateReport, ...]:
        """The gate reports over it, oldest first."""
        mine = [each for each in self.store.records.all(GateReport) if each.candidate == self.version.digest]
        return tuple(sorted(mine, key=lambda each: (self.store.records.written(each.kind, each.id), each.id)))

    @cached_property
    def seats(self) -> Sequence[Seat]:
        """Its entries in the ledger, oldest first."""
        return seats_of(self.store, self.version.digest)

    @cached_property
    def report(self) -> GateReport | None:
        """The report that counts: that of its newest seat, else the newest."""
        cited = self.seats[-1].entry.gate_report if self.seats else ""
        named = [each for each in self.reports if each.id == cited]
        return [*self.reports, *named][-1] if self.reports else None

    @cached_property
    def figures(self) -> GateFigures | None:
        """What the gate rows of that report show beside it; None if nobody looked."""
        records, name = self.store.records, self.report.id if self.report else ""
        return records.get(GateFigures, name) if name and records.has(GateFigures.kind, name) else None

    @cached_property
    def delivered(self) -> tuple[Delivered, ...]:
        """What each source gave to the training set."""
        snapshot, model = self.snapshot, self.model
        if snapshot is None:
            return ()
        parts = {model.outcome_source: [Part(**each) for each in snapshot.outcomes]}
        if len(snapshot.features) <= MOST_PARTITIONS:
            parts[model.batch_source] = self._batches(snapshot)
        found = []
        for name, source in model.sources.items():
            about = Delivered(name, source.role, snapshot.contracts.get(name, ""))
            mine = parts.get(name)
            found.append(about if mine is None else self._counted(about, mine))
        return tuple(found)

    def verdicts(self) -> list[Mapping[str, Any]]:
        """Return what MONITOR has said of the partitions that it scored, in the order of their names."""
        records, version = self.store.records, self.version.digest
        every = ({"name": name, **records.get_plain(VERDICTS, name)} for name in records.names(VERDICTS))
        return [each for each in every if each.get("version") == version]

    def _batches(self, snapshot: Snapshot) -> list[Part]:
        """Return the contents of the batch source that the features were made from."""
        records, found = self.store.records, {}
        for part in snapshot.features:
            key = part["partition"]
            for name in records.names(PROFILES, f"{snapshot.definition[:16]}/{key}-"):
                built = records.get_plain(PROFILES, name)
                if built["features"] == part["digest"]:
                    found[key] = Part(key, built["batch"], part["rows"])
        return list(found.values())

    def _counted(self, about: Delivered, parts: Sequence[Part]) -> Delivered:
        table = self.store.source(about.role, about.source).name
        told = [deliveries(self.store, about.source, table, part) for part in parts[:MOST_PARTITIONS]]
        known = all(told) and len(parts) <= MOST_PARTITIONS
        aside = sum(each[0].quarantined for each in told) if known else None
        return Delivered(about.source, about.role, about.contract, len(parts), sum(part.rows for part in parts), aside)
