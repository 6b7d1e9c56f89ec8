"""Where everything of a model lies."""

from __future__ import annotations

from pathlib import Path

from incumbent.records import Promotion
from incumbent.store.objects import Objects
from incumbent.store.records import Records
from incumbent.store.tables import Table


def generation_name(generation: int) -> str:
    """Return the record name of a generation; names sort like numbers."""
    return f"{generation:06d}"


class ModelStore:
    """One model's tables, records and objects.

    Attributes:
        records: Put-if-absent records: pins, snapshots, gate reports, the ledger, requests.
        intents: What is being committed and is not on record yet; each is taken away when it is.
        objects: Files by digest: model files, feature definitions, profiles.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records = Records(root / "records")
        self.intents = Records(root / "intents")
        self.objects = Objects(root / "objects")

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
    def metrics(self) -> Table:
        """Monitor figures, one row per figure."""
        return self._table("metrics")

    def ledger(self) -> list[Promotion]:
        """Return the promotions in generation order."""
        return self.records.all(Promotion)

    def promotion(self, generation: int) -> Promotion:
        """Return one entry of the ledger."""
        return self.records.get(Promotion, generation_name(generation))

    def champion(self) -> Promotion | None:
        """Return the newest entry of the ledger: who holds the seat."""
        names = self.records.names(Promotion.kind)
        return self.records.get(Promotion, names[-1]) if names else None

    def tables(self) -> dict[str, Table]:
        """Return every table that exists, by its name below `tables/`."""
        top = self.root / "tables"
        logs = sorted(top.rglob("_delta_log"))
        return {log.parent.relative_to(top).as_posix(): Table(log.parent) for log in logs}

    def reports(self) -> Path:
        """Return the folder of pages for people (Data Docs, Evidently); not part of any promise."""
        return self.root / "reports"

    def _table(self, *parts: str) -> Table:
        return Table(self.root.joinpath("tables", *parts))


class Store:
    """One root with one folder per model.

    Args:
        root: A local folder; it is made by the first write.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def model(self, name: str) -> ModelStore:
        """Return the store of one model."""
        return ModelStore(self.root / name)

    def models(self) -> list[str]:
        """Return the names of the models that have anything stored."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []
