"""Where everything of a model lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from incumbent.records import Promotion
from incumbent.store.blobs import Blobs
from incumbent.store.local import LocalBlobs
from incumbent.store.objects import Objects
from incumbent.store.records import Records
from incumbent.store.tables import Table

OBJECTS = "objects"
TABLES = "tables"
LOG = "_delta_log"
SHARED = "_shared"  # no model can have this name


def generation_name(generation: int) -> str:
    """Return the record name of a generation; names sort like numbers."""
    return f"{generation:06d}"


class ModelStore:
    """One model's tables, records and objects.

    Attributes:
        name: The model.
        blobs: Where everything that is promised lies.
        work: Folder of this machine for what is no promise: pages for people, locks.
        records: Put-if-absent records: pins, snapshots, gate reports, the ledger, requests.
        intents: What is being committed and is not on record yet; each is taken away when it is.
        objects: Files by digest: model files, feature definitions, profiles.
        shared: Records of the whole store, by which one model finds what another has made; no promise rests on them.
    """

    def __init__(self, name: str, blobs: Blobs, work: Path, root: Store) -> None:
        self.name = name
        self.blobs = blobs
        self.work = work
        self.records = Records(blobs.below("records"))
        self.intents = Records(blobs.below("intents"), "intent")
        self.objects = Objects(blobs.below(OBJECTS))
        self.shared = Records(root.blobs.below(SHARED), "shared record")
        self._root = root
        self._tables: dict[str, Table] = {}  # each knows how far it has read its log

    def beside(self, name: str) -> ModelStore:
        """Return the store of another model of the same root."""
        return self._root.model(name)

    def batches(self, source: str) -> Table:
        """Rows of the batch source, as accepted."""
        return self._table("batches", source)

    def context(self, source: str) -> Table:
        """Rows of a looked-up source, as accepted."""
        return self._table("context", source)

    def outcomes(self, source: str) -> Table:
        """Rows of the outcome source, as accepted."""
        return self._table("outcomes", source)

    def source(self, role: str, source: str) -> Table:
        """Rows of a source of the given role."""
        return {"batch": self.batches, "context": self.context, "outcomes": self.outcomes}[role](source)

    def quarantine(self, source: str) -> Table:
        """Rows set aside, with the rule and the reason."""
        return self._table("quarantine", source)

    def features(self, definition: str) -> Table:
        """Feature rows of one definition; two definitions live side by side."""
        return self._table("features", definition[:16])

    @property
    def predictions(self) -> Table:
        """Prediction rows with their provenance."""
        return self._table("predictions")

    @property
    def unscored(self) -> Table:
        """Keys of rows that could not be scored, with the reason."""
        return self._table("unscored")

    @property
    def explanations(self) -> Table:
        """What features add to some of the predictions."""
        return self._table("explanations")

    @property
    def metrics(self) -> Table:
        """Monitor figures, one row per figure."""
        return self._table("metrics")

    def ledger(self) -> list[Promotion]:
        """Return the promotions in generation order."""
        return self.records.all(Promotion)

    def promotion(self, generation: int) -> Promotion:
        """Return one entry of the ledger."""
        return self.records.get(Promotion, generation_name(generation))

    def barred(self) -> dict[str, int]:
        """Return the versions that lost their seat to a rollback, each with the generation that it lost.

        Trained on the same rows again, one would be the same version: only other rows make another one.
        """
        entries = {entry.generation: entry for entry in self.ledger()}
        lost = [(entry, entries[entry.previous]) for entry in entries.values() if entry.action == "rollback"]
        return {before.version: before.generation for entry, before in lost if before.version != entry.version}

    def champion(self) -> Promotion | None:
        """Return the newest entry of the ledger: who holds the seat."""
        names = self.records.names(Promotion.kind)
        return self.records.get(Promotion, names[-1]) if names else None

    def tables(self) -> dict[str, Table]:
        """Return every table that has a log, by its name."""
        return {name: self.table(name) for name in self.table_names(LOG)}

    def table_names(self, folder: str) -> list[str]:
        """Return the names of the tables that have a certain folder."""
        names = (key.split("/") for key in self.blobs.names(TABLES))
        found = {"/".join(parts[1 : parts.index(folder)]) for parts in names if folder in parts}
        return sorted(found)

    def table(self, name: str) -> Table:
        """Return a table by its name, such as `batches/flights`."""
        if name not in self._tables:
            self._tables[name] = Table(self.blobs.below(f"{TABLES}/{name}"), name)
        return self._tables[name]

    def reports(self) -> Path:
        """Return the folder of pages for people (Data Docs, Evidently); not part of any promise."""
        return self.work / "reports"

    def _table(self, *parts: str) -> Table:
        return self.table("/".join(parts))


class Store:
    """One root with one folder per model.

    Args:
        root: A local folder, made by the first write; or any other place for blobs.
        work: Folder of this machine for what is no promise; the root itself when that is local.
    """

    @classmethod
    def at(cls, address: str, work: Path, options: Mapping[str, str] | None = None) -> Store:
        """Return the store at an address.

        Args:
            address: A folder, or `s3://bucket/prefix`.
            work: Where pages go if the address is not on this machine.
            options: Of S3; see `incumbent.store.s3.S3Blobs`.
        """
        if not address.startswith("s3://"):
            return cls(address)
        from incumbent.store.s3 import S3Blobs

        return cls(S3Blobs(address, options), work)

    def __init__(self, root: Path | str | Blobs, work: Path | None = None) -> None:
        self.blobs = root if isinstance(root, Blobs) else LocalBlobs(root)
        if work is None and not isinstance(self.blobs, LocalBlobs):
            raise ValueError(f"{self.blobs.url} is not on this machine: say where pages go")
        self.work = work or Path(self.blobs.url)

    def model(self, name: str) -> ModelStore:
        """Return the store of one model."""
        return ModelStore(name, self.blobs.below(name), self.work / name, self)

    def models(self) -> list[str]:
        """Return the names of the models that have anything stored."""
        return [name for name in self.blobs.folders() if name != SHARED]
