"""What a prediction was computed from, back to the files that were dropped: the links to its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from incumbent.config import Model
from incumbent.definition import names_of
from incumbent.features.inputs import PROFILES, Inputs, inputs_with
from incumbent.provenance.link import AGREES, BROKEN, GONE, Link, content, held, stored_object
from incumbent.records import Ingest, Part
from incumbent.store import ModelStore
from incumbent.store.check_walk import Walk
from incumbent.store.place import Place
from incumbent.store.removals import ERASURE, Removal
from incumbent.validate.delivery import ONCE


class Files:
    """Files of the drop folder, each hashed once.

    Args:
        model: The model's configuration, which says where they lie.
        drop: The drop folder.
    """

    def __init__(self, model: Model, drop: Place) -> None:
        self.model = model
        self.drop = drop
        self._hashed: dict[str, str] = {}

    def path(self, source: str, partition: str) -> Place:
        """Return where the file of a partition lies, or would lie."""
        return self.drop / self.model.sources[source].path.replace("{partition}", partition)

    def sha256(self, source: str, partition: str) -> str:
        """Return the SHA-256 of the file that is there now; empty if there is none."""
        path = self.path(source, partition)
        if str(path) not in self._hashed:
            try:
                with path.open("rb") as file:
                    self._hashed[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            except OSError:  # an emptied drop folder is no fault
                self._hashed[str(path)] = ""
        return self._hashed[str(path)]


def inputs_behind(store: ModelStore, model: Model, definition: str, features: Part, batch: str) -> Inputs | None:
    """Return the pinned inputs that a content of features was made from; None if nothing says."""
    names = store.records.names(PROFILES, f"{definition[:16]}/{features.partition}-")
    built = [store.records.get_plain(PROFILES, name) for name in names]
    of_it = {plain["inputs"] for plain in built if (plain["features"], plain["batch"]) == (features.digest, batch)}
    return inputs_with(store, model, features.partition, of_it)


def definition_of(walk: Walk, digest: str) -> Iterator[Link]:
    """Yield the link to the text of a feature definition."""
    text = walk.store.objects.get(digest).decode()
    yield Link("feature definition", f"{names_of(text)}, {len(text.splitlines())} lines", digest, more={"text": text})


def pinned(walk: Walk, model: Model, definition: str, features: Part, batch: str) -> Iterator[Link]:
    """Yield the link to what the features were computed from: a profile and a pin, by the digest of all inputs."""
    inputs = inputs_behind(walk.store, model, definition, features, batch)
    if inputs is None:
        found = "no profile and pin name these features and this batch"
        yield Link("pinned inputs", "", "", BROKEN, found)
        return
    parts = ", ".join(f"{source} {part.partition}" for source, parts in inputs.parts.items() for part in parts)
    yield Link("pinned inputs", parts, inputs.digest)


def source_of(walk: Walk, files: Files, source: str, part: Part) -> Iterator[Link]:
    """Yield the links behind a content of a source: its file, the record of its delivery, contract and raw file."""
    role = files.model.sources[source].role
    table = walk.store.source(role, source).name
    what = f"{source} {part.partition}"
    yield from held(f"content of {what}", lambda: [content(walk, f"content of {what}", table, part)])
    yield from held(f"delivery of {what}", lambda: _delivery(walk, files, source, table, part))


def deliveries(store: ModelStore, source: str, table: str, part: Part) -> list[Ingest]:
    """Return the records of the deliveries that gave a content, or that from which it was left after erasures."""
    records = store.records
    left = {each.successor: each.digest for each in records.all(Removal, f"{ERASURE}/{table}/{part.partition}/")}
    digests = [part.digest]
    while digests[-1] in left and left[digests[-1]] not in digests:
        digests.append(left[digests[-1]])
    known = records.all(Ingest, f"{source}/{part.partition}/")
    return [record for record in known if record.verdict == "accepted" and record.digest in digests]


def delivery_now(store: ModelStore, files: Files, source: str, table: str, part: Part) -> Ingest | None:
    """Return the record of the delivery that gave a content, the one whose file is there if there are several."""
    found = deliveries(store, source, table, part)
    there = files.sha256(source, "" if part.partition == ONCE else part.partition) if found else ""
    return next((record for record in found if record.raw_digest == there), found[0] if found else None)


def _delivery(walk: Walk, files: Files, source: str, table: str, part: Part) -> Iterator[Link]:
    what, record = f"{source} {part.partition}", delivery_now(walk.store, files, source, table, part)
    if record is None:
        yield Link(f"delivery of {what}", "", state=BROKEN, found=f"no ingest record names {part.digest}")
        return
    wrong = (record.source, record.partition or ONCE) != (source, part.partition)
    found = f"the record is of {record.source} {record.partition}" if wrong else ""
    more = {"quarantined": record.quarantined, "revisit": record.revisit, "raw_digest": record.raw_digest}
    yield Link(f"delivery of {what}", record.message, "", BROKEN if wrong else AGREES, found, more)
    says = f"{record.quarantined} rows of the delivery broke it" if record.quarantined else "every row holds it"
    name = f"contract of {what}"
    yield from held(name, lambda: [stored_object(walk, name, record.contract_digest, says)])
    yield _raw(files, record, f"raw file of {what}")


def _raw(files: Files, record: Ingest, name: str) -> Link:
    path = str(files.path(record.source, record.partition))
    there = files.sha256(record.source, record.partition)
    if there == record.raw_digest:
        return Link(name, path, record.raw_digest)
    found = f"another file lies there now, {there[:16]}" if there else "it does not lie there any more"
    return Link(name, path, record.raw_digest, GONE, found)
