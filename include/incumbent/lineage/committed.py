"""What a store has committed, each with the events that tell of it: read from logs and records, oldest first."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from incumbent.errors import StoreError
from incumbent.features.build import stored_profile
from incumbent.features.definition import stored_text
from incumbent.features.inputs import PINS, PROFILES, Inputs, inputs_of, inputs_with
from incumbent.features.lineage import columns_of
from incumbent.lineage import data_runs, model_runs
from incumbent.lineage.data_runs import Content, table_role
from incumbent.lineage.event import Event, Run, events_of
from incumbent.lineage.naming import Naming
from incumbent.provenance.delivered import deliveries
from incumbent.provenance.scored import scored_in
from incumbent.publish.due import KIND as PUBLICATIONS
from incumbent.publish.due import SEEN, place_of
from incumbent.records import GateReport, Hold, Ingest, ModelVersion, Part, Promotion, Snapshot, Training, digest_of
from incumbent.store import ModelStore
from incumbent.store.log import PARTITION, Moment
from incumbent.store.removals import ERASURE, Removal

LOG = logging.getLogger(__name__)
FEATURES, PREDICTIONS = "features", "predictions"
TAKEN_IN = ("batches", "context", "outcomes", Ingest.kind)
MODELS = (Snapshot.kind, Training.kind, GateReport.kind, Promotion.kind)
KINDS = (*TAKEN_IN, FEATURES, Hold.kind, PREDICTIONS, *MODELS, PUBLICATIONS)
NOTHING = Run("", "", datetime.min.replace(tzinfo=UTC))  # of what there is nothing to tell, for good


@dataclass(frozen=True)
class Commit:
    """Something that was committed.

    Attributes:
        name: What it is called; the same for good.
        at: When, in UTC.
        run: Looks up what it was; None while the record of it is still to come, or nobody can say it.
    """

    name: str
    at: datetime
    run: Callable[[], Run | None]


def mark(name: str) -> str:
    """Return what stands for a commit's name where that may be too long."""
    return digest_of(name.encode())[:32]


class Committed:
    """What one model's store has committed.

    Args:
        store: The model's store.
        naming: How things are named.
    """

    def __init__(self, store: ModelStore, naming: Naming) -> None:
        self.store = store
        self.naming = naming

    def commits(self, told: Collection[str] = (), kinds: Collection[str] = KINDS) -> list[Commit]:
        """Return what there is to tell of, oldest first.

        Args:
            told: Marks of what is left out; see `mark`. Of a record nothing is looked up then, which in a bucket is a
                request for each.
            kinds: Folders of records and first parts of tables' names that are looked into.
        """
        found = [*self._contents(kinds), *self._records(told, kinds)]
        left = [each for each in found if mark(each.name) not in told]
        return sorted(left, key=lambda each: (each.at, each.name))

    def events(self, commit: Commit) -> list[Event] | None:
        """Return the events of a commit, which may be none at all; None while nothing can be said of it.

        What is damaged, or was taken away, is left out: `incumbent store check` is who says so.
        """
        try:
            run = commit.run()
            return None if run is None else [] if run is NOTHING else events_of(self.naming, run)
        except Exception as error:  # what is damaged can fail in any way, and keeps no other back
            LOG.debug("lineage: nothing can be said of %s (%s)", commit.name, type(error).__name__)
            return None

    def _contents(self, kinds: Collection[str]) -> Iterator[Commit]:
        model = self.naming.model
        folders = self.store.blobs.folders(f"tables/{FEATURES}") if FEATURES in kinds else ()
        sources = [(f"{table_role(source.role)}/{name}", self._source(name)) for name, source in model.sources.items()]
        features = [(f"{FEATURES}/{name}", self._features) for name in folders]
        for table, run in (*sources, *features, (PREDICTIONS, self._predictions)):
            if table.partition("/")[0] not in kinds:
                continue
            for moment in self.store.table(table).log.moments():
                if moment.digest:
                    yield Commit(f"{table}@{moment.number}", moment.at, partial(self._brought, run, table, moment))

    def _records(self, told: Collection[str], kinds: Collection[str]) -> Iterator[Commit]:
        runs: dict[str, Callable[[str, datetime], Run | None]] = {
            Ingest.kind: self._stopped, Hold.kind: self._held, Snapshot.kind: self._snapshot,
            Training.kind: self._training, GateReport.kind: self._report, Promotion.kind: self._promotion,
            PUBLICATIONS: self._publication,
        }  # fmt: skip
        records = self.store.records
        for kind, run in runs.items():
            for name in records.names(kind) if kind in kinds else ():
                if mark(f"{kind}/{name}") in told or (kind == PUBLICATIONS and name.split("/")[1] == SEEN):
                    continue
                at = records.written(kind, name)
                yield Commit(f"{kind}/{name}", at, partial(run, name, at))

    def _brought(self, run: Callable[[Content], Run | None], table: str, moment: Moment) -> Run | None:
        return run(self._content(table, moment))

    def _content(self, table: str, moment: Moment) -> Content:
        log = self.store.table(table)
        newest = log.log.newest()
        columns = {} if newest is None else {f.name: str(f.type) for f in newest.schema if f.name != PARTITION}
        part = Part(moment.partition, moment.digest, self._rows(table, moment.partition, moment.digest))
        return Content(table, moment.number, moment.at, part, columns)

    def _rows(self, table: str, partition: str, digest: str) -> int:
        """Return how many rows a content has; 0 if it is not kept."""
        blobs, name = self.store.table(table).blobs, f"{PARTITION}={partition}/{digest}.parquet"
        if not blobs.has(name):
            return 0
        return int(pq.ParquetFile(blobs.open(name)).metadata.num_rows)

    def _source(self, source: str) -> Callable[[Content], Run | None]:
        def run(content: Content) -> Run | None:
            if self._is_erased(content):
                return data_runs.erased(self.naming, content)
            found = deliveries(self.store, source, content.table, content.part)
            return data_runs.delivered(self.naming, found[0], content, self._results(found[0])) if found else None

        return run

    def _features(self, content: Content) -> Run | None:
        definition = content.table.removeprefix(f"{FEATURES}/")
        plain = self._profiled(definition, content.part)
        if plain is None:
            return data_runs.erased(self.naming, content) if self._is_erased(content) else None
        inputs = inputs_with(self.store, self.naming.model, content.part.partition, {plain["inputs"]})
        if inputs is None:
            return None
        text = self._definition(definition)
        profile = stored_profile(self.store, definition, content.part.partition, content.part.digest)
        return data_runs.built(self.naming, content, inputs, profile, text, self._made_of(text, content))

    def _made_of(self, text: str, content: Content) -> dict[str, list[tuple[str, str]]]:
        """Return the columns that each feature is made of, as far as the text of the definition says."""
        model, known = self.naming.model, dict[tuple[str, str], tuple[str, str]]()
        for name, source in model.sources.items():
            for column in self.store.source(source.role, name).columns():
                known["batch" if name == model.batch_source else name.lower(), column.lower()] = (name, column)
        found = columns_of(text, list(content.columns))
        return {name: [known[each] for each in columns if each in known] for name, columns in found.items()}

    def _predictions(self, content: Content) -> Run | None:
        if self._is_erased(content):
            return data_runs.erased(self.naming, content)
        try:
            made = scored_in(self.store, content.part)
        except StoreError:
            made = []
        versions = {each.version: self._version(each.version) for each in made}
        known = {digest: found for digest, found in versions.items() if found is not None}
        return data_runs.scored(self.naming, content, made, known)

    def _stopped(self, name: str, at: datetime) -> Run | None:
        record = self.store.records.get(Ingest, name)
        if record.verdict != "stopped" or record.source not in self.naming.model.sources:
            return NOTHING  # what was accepted is told of by the table
        return data_runs.stopped(self.naming, record, name, at, self._results(record))

    def _held(self, name: str, at: datetime) -> Run | None:
        record = self.store.records.get(Hold, name)
        return data_runs.held(self.naming, record, name, at, self._pinned(record))

    def _snapshot(self, name: str, at: datetime) -> Run | None:
        return model_runs.took(self.naming, self.store.records.get(Snapshot, name), at)

    def _training(self, name: str, at: datetime) -> Run | None:
        record = self.store.records.get(Training, name)
        made = self._version(record.version)
        return None if made is None else model_runs.trained(self.naming, record, made, at)

    def _report(self, name: str, at: datetime) -> Run | None:
        record = self.store.records.get(GateReport, name)
        return model_runs.judged(self.naming, record, self._version(record.candidate), at)

    def _promotion(self, name: str, at: datetime) -> Run | None:
        entry = self.store.records.get(Promotion, name)
        return model_runs.seated(self.naming, entry, self._version(entry.version), at)

    def _publication(self, name: str, at: datetime) -> Run | None:
        partition, place, what = name.split("/")
        targets = {place_of(each, target): (each, target) for each, target in self.naming.model.publish.items()}
        if place not in targets:  # where it was copied to is in nobody's configuration any more
            return None
        said = self.store.records.get_plain(PUBLICATIONS, name)
        part = Part(partition, what.rpartition("-")[2], int(said["rows"]))
        return data_runs.published(self.naming, targets[place][1], targets[place][0], part, name, at)

    def _is_erased(self, content: Content) -> bool:
        below = f"{ERASURE}/{content.table}/{content.part.partition}/"
        return any(each.successor == content.part.digest for each in self.store.records.all(Removal, below))

    def _results(self, record: Ingest) -> list[dict[str, Any]]:
        if not record.results or record.results not in self.store.objects:
            return []
        found: list[dict[str, Any]] = json.loads(self.store.objects.get(record.results))
        return found

    def _profiled(self, definition: str, part: Part) -> dict[str, Any] | None:
        records = self.store.records
        names = records.names(PROFILES, f"{definition}/{part.partition}-")
        plain = (records.get_plain(PROFILES, name) for name in names)
        return next((each for each in plain if each["features"] == part.digest), None)

    def _pinned(self, hold: Hold) -> Inputs | None:
        model, records = self.naming.model, self.store.records
        for name in records.names(PINS, f"inputs/{hold.partition}-"):
            pin = records.get_plain(PINS, name)
            if any(part["digest"] == hold.batch_digest for part in pin.get(model.batch_source, ())):
                return inputs_of(model, hold.partition, pin)
        return None

    def _definition(self, prefix: str) -> str:
        folder, _, begin = self.store.objects.key(prefix).rpartition("/")
        names = (name for name in self.store.objects.blobs.names(folder) if name.startswith(f"{folder}/{begin}"))
        return stored_text(self.store, next(names, prefix).rpartition("/")[2])

    def _version(self, digest: str) -> ModelVersion | None:
        records = self.store.records
        return records.get(ModelVersion, digest) if records.has(ModelVersion.kind, digest) else None
