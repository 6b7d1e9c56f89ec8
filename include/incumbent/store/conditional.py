"""Whether a place keeps the promise that all others rest on: of many that create a name, one wins."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from incumbent.errors import StoreError
from incumbent.store.blobs import Blobs

WRITERS = 8
ROUNDS = 4


def check_conditional_writes(blobs: Blobs) -> None:
    """Let several writers create the same name at once, and look who won.

    Some servers that speak S3 ignore the condition and let the last writer win: two champions, each
    reported as the only one.

    Raises:
        StoreError: Not exactly one writer won, or another's content stands.
        UnavailableError: The place does not answer.
    """
    for number in range(ROUNDS):
        name = f".conditional/{secrets.token_hex(8)}-{number}"
        contents = [f"writer {writer}".encode() for writer in range(WRITERS)]
        try:
            with ThreadPoolExecutor(WRITERS) as writers:
                won = list(writers.map(lambda content, name=name: blobs.create(name, content), contents))
            winners = [content for content, first in zip(contents, won, strict=True) if first]
            held = blobs.read(name)
        finally:
            blobs.remove(name)
        if winners != [held]:
            raise StoreError(
                "conditional writes do not hold",
                where=blobs.url,
                expected="of several that create the same object exactly one is told that it did",
                found=f"{len(winners)} of {WRITERS} were told so",
                next_step="use a server that honours If-None-Match (AWS S3 does), or a folder that all workers share",
            )
