"""What a snapshot is made of, who uses it, and whether it can be had again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incumbent.errors import ConfigError
from incumbent.records import ModelVersion, Part, Promotion, Snapshot, Training
from incumbent.store import ModelStore
from incumbent.store.live import Content, named_by
from incumbent.store.removals import removal_of
from incumbent.store.vacuum import file_of

VERIFIED, MISSING, CHANGED = "verified", "missing", "changed"


@dataclass(frozen=True)
class File:
    """One content that a snapshot names.

    Attributes:
        role: `features` or `outcomes`.
        partition: Partition key.
        digest: SHA-256 of the file.
        rows: Row count.
        state: `verified`; `retention` or `erasure` when it was taken away; `missing`, or `changed`, which breaks a
            promise.
    """

    role: str
    partition: str
    digest: str
    rows: int
    state: str


@dataclass(frozen=True)
class Use:
    """A training on a snapshot.

    Attributes:
        request: Retrain request id.
        version: Version digest that came out.
        generations: Positions of the version in the ledger.
    """

    request: str
    version: str
    generations: tuple[int, ...]


def files(store: ModelStore, snapshot: Snapshot) -> list[File]:
    """Return every content of a snapshot, each hashed again."""
    named = list(named_by(list(store.tables()), snapshot))
    return [
        File(role, part["partition"], part["digest"], part["rows"], _state(store, named, role, Part(**part)))
        for role, parts in (("features", snapshot.features), ("outcomes", snapshot.outcomes))
        for part in parts
    ]


def uses(store: ModelStore, snapshot: Snapshot) -> list[Use]:
    """Return the trainings on a snapshot, in request order."""
    seats: dict[str, list[int]] = {}
    for promotion in store.records.all(Promotion):
        seats.setdefault(promotion.version, []).append(promotion.generation)
    return [
        Use(training.name, training.version, tuple(seats.get(training.version, ())))
        for training in store.records.all(Training)
        if training.snapshot == snapshot.id
    ]


def find(store: ModelStore, given: str) -> Snapshot:
    """Return the recorded snapshot whose id begins with some text; also of a version or of a retrain request.

    Raises:
        ConfigError: There is none, or there are several.
    """
    records = store.records
    if given and records.has("pins", f"train-{given}"):
        return records.get(Snapshot, records.get_plain("pins", f"train-{given}")["snapshot"])
    ids = [name for name in records.names(Snapshot.kind) if name.startswith(given)]
    if not ids:
        versions = [name for name in records.names(ModelVersion.kind) if name.startswith(given)]
        ids = sorted({records.get(ModelVersion, name).snapshot for name in versions} - {""})
    if len(ids) != 1:
        raise ConfigError(
            "no snapshot has this name" if not ids else "several snapshots begin like this",
            where=f"{store.blobs.url}: {given!r}",
            expected="the beginning of one id, of the version that was trained on it, or its retrain request",
            found=", ".join(each[:16] for each in ids[:5]) or f"{len(records.names(Snapshot.kind))} others",
            next_step="look at records/snapshots for the ids that there are",
        )
    return records.get(Snapshot, ids[0])


def _state(store: ModelStore, named: Sequence[Content], role: str, part: Part) -> str:
    wanted = (part.partition, part.digest)
    places = [each for each in named if each.table.startswith(f"{role}/") and (each.partition, each.digest) == wanted]
    for content in places:
        if store.blobs.has(file_of(content)):
            return VERIFIED if store.blobs.sha256(file_of(content)) == part.digest else CHANGED
    removals = (removal_of(store.records, each.table, part.partition, part.digest) for each in places)
    return next((removal.why for removal in removals if removal is not None), MISSING)
