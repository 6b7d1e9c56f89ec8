"""A secret of one store, so that what stands for a person's key there can be looked up but not guessed."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence

from incumbent.records import canonical_json
from incumbent.store.blobs import Blobs
from incumbent.store.crash_points import around

NAME = "salt"
BYTES = 32


def pseudonym(blobs: Blobs, values: Sequence[object]) -> str:
    """Return what stands for a key in this store: HMAC-SHA256 of its values under the store's salt, in hexadecimal.

    A plain hash of a customer number is found by hashing all numbers; the salt is made once for each store, so
    the same key has another pseudonym elsewhere. Whoever reads the store reads the salt too: this keeps values out
    of what leaves the store (logs, reports, exports), and is no encryption.

    Args:
        blobs: Where the store lies.
        values: The key's values, as JSON carries them.

    >>> from incumbent.store.memory import MemoryBlobs
    >>> store = MemoryBlobs()
    >>> pseudonym(store, ["ann"]) == pseudonym(store, ["ann"]) != pseudonym(MemoryBlobs(), ["ann"])
    True
    """
    return pseudonyms_of_keys(blobs, [values])[0]


def pseudonyms_of_keys(blobs: Blobs, keys: Iterable[Sequence[object]]) -> list[str]:
    """Return the pseudonym of each of many keys; see `pseudonym`."""
    secret = salt(blobs)
    return [hmac.new(secret, canonical_json(list(values)), hashlib.sha256).hexdigest() for values in keys]


def pseudonyms(secret: bytes, values: Iterable[str | int]) -> list[str]:
    """Return what stands for each of many keys of one column; the same as `pseudonym` says of each.

    >>> from incumbent.store.memory import MemoryBlobs
    >>> store = MemoryBlobs()
    >>> pseudonyms(salt(store), ["Käthe", 5]) == [pseudonym(store, [key]) for key in ("Käthe", 5)]
    True
    """
    # One encoder and one key schedule for all: a million values take seconds.
    text, keyed = json.JSONEncoder(ensure_ascii=False).encode, hmac.new(secret, digestmod=hashlib.sha256)

    def one(value: str | int) -> str:
        found = keyed.copy()
        found.update(f"[{text(value)}]".encode())
        return found.hexdigest()

    return [one(value) for value in values]


def salt(blobs: Blobs) -> bytes:
    """Return the salt of a store; the first who asks makes it."""
    if not blobs.has(NAME):
        with around(NAME):
            blobs.create(NAME, secrets.token_bytes(BYTES))
    return blobs.read(NAME)
