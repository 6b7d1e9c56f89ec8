"""Walk the tables and report committed content that is not what its commit says."""

from __future__ import annotations

from collections.abc import Iterator

from incumbent.store.check_walk import Walk
from incumbent.store.tables import Table
from incumbent.store.violation import Violation, guarded

CAN_BE_READ = "a table can be read"


def check_tables(walk: Walk) -> Iterator[Violation]:
    """Yield the violations of what each table holds now."""
    for name, table in walk.store.tables().items():
        yield from guarded(CAN_BE_READ, name, _parts(walk, name, table))


def _parts(walk: Walk, name: str, table: Table) -> Iterator[Violation]:
    for part in table.parts().values():
        where = f"{name}, partition {part.partition}"
        yield from guarded(CAN_BE_READ, where, walk.data([name], part.partition, part.digest, part.rows, where))
