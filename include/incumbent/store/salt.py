"""A secret of one store, so that what stands for a person's key there can be looked up but not guessed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence

from incumbent.records import canonical_json
from incumbent.store.blobs import Blobs

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
    return pseudonyms(blobs, [values])[0]


def pseudonyms(blobs: Blobs, keys: Iterable[Sequence[object]]) -> list[str]:
    """Return the pseudonym of each of many keys; see `pseudonym`."""
    secret = salt(blobs)
    return [hmac.new(secret, canonical_json(list(values)), hashlib.sha256).hexdigest() for values in keys]


def salt(blobs: Blobs) -> bytes:
    """Return the salt of a store; the first who asks makes it."""
    if not blobs.has(NAME):
        blobs.create(NAME, secrets.token_bytes(BYTES))
    return blobs.read(NAME)
