"""What the record of a feature partition names: its definition, its rows, their profile and their batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.store.check_tables import check_log
from incumbent.store.check_walk import Walk
from incumbent.store.violation import Violation


def check_profile(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one build of features; the definition is missing once, however many were built."""
    kind, definition, name = where.split("/")
    partition, table = name.rsplit("-", 1)[0], f"features/{definition}"
    yield from walk.definition(definition, f"{kind}/{definition}")
    yield from walk.object(plain["profile"], where, "the profile")
    # Not that the table holds the partition now: the record is written before the commit.
    gone = list(check_log(walk, table))
    yield from gone or walk.content([table], partition, plain["features"], where)
    yield from walk.content(walk.tables_of("batches"), partition, plain["batch"], f"{where}, batch")
