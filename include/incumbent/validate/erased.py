"""Rows whose key was erased: delivered again, they are left out before anything judges or keeps them."""

from __future__ import annotations

from incumbent.store import ModelStore
from incumbent.store.erasures import erasures, pseudonyms_of
from incumbent.store.removals import ERASURE, OBJECTS, Removal
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import DeliveredRows


def leave_out(store: ModelStore, contract: SourceContract, rows: DeliveredRows) -> dict[str, int]:
    """Take rows out whose key was erased, and return how many, for the record; nothing if there are none."""
    gone: set[int] = set()
    for columns, erased in erasures(store.records).items():
        if set(columns) <= contract.columns.keys():
            keys = rows.keys(columns)
            found = pseudonyms_of(store.blobs, keys, columns)
            gone |= {row for row, each in enumerate(found) if each in erased}
    return {"erased": rows.leave_out(sorted(gone))} if gone else {}


def keeps(store: ModelStore, contract: SourceContract, digest: str, erased: dict[str, int] | None) -> bool:
    """Return whether the bytes of a stopped file may be kept, and write down if not.

    Args:
        store: The model's store.
        contract: The source's contract.
        digest: SHA-256 of the file.
        erased: What `leave_out` found; None if the file could not be read.
    """
    known = any(set(columns) <= contract.columns.keys() for columns in erasures(store.records))
    if not erased and not (erased is None and known):
        return True
    removal = Removal(OBJECTS, "", digest, 0, ERASURE)
    store.records.claim(Removal.kind, removal.name, removal.to_json())
    return False
