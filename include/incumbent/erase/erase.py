"""Erase one key: plan it all, say again what is known, commit what is left, and only then remove."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from incumbent.config import Model
from incumbent.erase.derived import say_again
from incumbent.erase.kept_files import stopped_with, told_with
from incumbent.erase.keys import parse_key
from incumbent.erase.plan import carry_out, plan
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore
from incumbent.store.erasures import DONE, OPEN, Erasure
from incumbent.store.removals import ERASURE, OBJECTS, Removal
from incumbent.store.salt import pseudonym
from incumbent.validate.contract import load_contract


@dataclass(frozen=True)
class Erased:
    """What an erasure did, or would do.

    Attributes:
        id: Name of its record; empty when nothing was written.
        rows: Table to the rows that were erased from what it held.
        contents: Contents that were removed, replaced ones too.
        files: Kept bytes of stopped deliveries that were removed.
    """

    id: str
    rows: dict[str, int]
    contents: int
    files: int


def erase(
    store: ModelStore, model: Model, contract_path: Path, key: Sequence[str], reason: str, *, is_trial: bool = False
) -> Erased:
    """Remove the rows of a key from every table, in every version, and from kept files.

    Killed anywhere, it is finished by the same call. Rows that are delivered again are left out by VALIDATE from the
    first step on; what an ingest commits that had begun before is found by a second call.

    Args:
        store: The model's store.
        model: Its configuration.
        contract_path: Its `contract.yaml`.
        key: `column=value`, once for each column.
        reason: Why; is recorded, so it names no person.
        is_trial: Only return what would be removed.

    Raises:
        ConfigError: A column is no key column, or its value has another type.
    """
    wanted = parse_key(model, load_contract(contract_path), key, store.blobs)
    if is_trial:
        found = plan(store, model, wanted, "", is_trial=True)
        return Erased("", found.rows, len(found.removals), len(stopped_with(store, model, wanted, "")))
    values = [wanted.values[name] for name in wanted.columns]
    erasure = Erasure(wanted.columns, pseudonym(store.blobs, values), reason)
    name = digest_of([erasure.columns, erasure.pseudonym])[:32]
    store.records.claim(Erasure.kind, f"{name}/{OPEN}", erasure.to_json())
    found = plan(store, model, wanted, name)
    say_again(store, model)
    for removal, records in stopped_with(store, model, wanted, name):
        store.records.claim(Removal.kind, removal.name, removal.to_json())
        for each in records:  # judged again, if its file is dropped again
            store.records.remove(Ingest.kind, each)
    for removal in told_with(store, wanted, name):
        store.records.claim(Removal.kind, removal.name, removal.to_json())
    carry_out(store)
    shutil.rmtree(store.reports(), ignore_errors=True)  # pages show examples; they are drawn again
    return _done(store, name, found.rows)


def _done(store: ModelStore, name: str, rows: dict[str, int]) -> Erased:
    """Write down what is gone, of all tries together."""
    removals = [each for each in store.records.all(Removal, f"{ERASURE}/") if each.erasure == name]
    counts: Counter[str] = Counter()
    for removal in removals:
        counts[removal.table] += removal.rows - removal.left
    files = counts.pop(OBJECTS, None)
    objects = 0 if files is None else sum(removal.table == OBJECTS for removal in removals)
    done = {"contents": len(removals) - objects, "files": objects, "rows": dict(sorted(counts.items()))}
    store.records.put_plain(Erasure.kind, f"{name}/{DONE}-{digest_of(done)[:16]}", done)
    return Erased(name, rows, len(removals) - objects, objects)
