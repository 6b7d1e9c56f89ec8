"""One link of a chain from a prediction back to the file that it rests on, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from incumbent.errors import PipelineError
from incumbent.records import Part
from incumbent.store.check_walk import Walk
from incumbent.store.removals import removal_of

VERIFIED, AGREES, GONE, BROKEN = "verified", "agrees", "gone", "broken"


@dataclass(frozen=True)
class Link:
    """What something rests on.

    Attributes:
        name: What it is, such as `gate report`.
        says: What it says, for people.
        digest: SHA-256 that names it; empty of a record that has another name.
        state: `verified`, its bytes have this digest; `agrees`, a record that no digest names, and that says the same
            as what names it and as what it names; `gone`, not there any more and no broken promise; `broken`.
        found: What is broken, or why it is gone.
        more: The same for programs, and more of it.
    """

    name: str
    says: str
    digest: str = ""
    state: str = VERIFIED
    found: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def content(walk: Walk, name: str, table: str, part: Part, says: str = "") -> Link:
    """Return the link to a content of a table: there and hashed again, taken away on purpose, or damaged."""
    says = says or f"{table}, partition {part.partition}, {part.rows} rows"
    broken = list(walk.content([table], part.partition, part.digest, name))
    if broken:
        return Link(name, says, part.digest, BROKEN, broken[0].found)
    if not walk.store.blobs.has(f"{walk.folder(table, part.partition)}/{part.digest}.parquet"):
        removal = removal_of(walk.store.records, table, part.partition, part.digest)
        return Link(name, says, part.digest, GONE, f"taken away by {removal.why if removal else 'somebody'}")
    return Link(name, says, part.digest)


def stored_object(walk: Walk, name: str, digest: str, says: str, **more: Any) -> Link:
    """Return the link to a file that is named by its digest.

    Raises:
        StoreError: It is missing or altered.
    """
    walk.store.objects.get(digest)
    return Link(name, says, digest, more=more)


def held(name: str, found: Callable[[], Iterable[Link]]) -> Iterator[Link]:
    """Yield links, and what kept the rest from being looked at as a broken one: what is damaged can fail in any way."""
    try:
        yield from found()
    except Exception as error:
        yield failed(name, error)


def failed(name: str, error: Exception, state: str = BROKEN) -> Link:
    """Return the link that could not be looked at to the end, with what kept it from it."""
    if isinstance(error, PipelineError):
        said = f"{error.what}: {error.where}" + ("" if error.found is None else f", found {error.found}")
    else:
        said = f"{type(error).__name__}: " + str(error).strip().split("\n")[0]
    return Link(name, "", state=state, found=said[:400])
