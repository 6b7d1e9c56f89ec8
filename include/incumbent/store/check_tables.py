"""Walk the tables and report committed content that is not what its commit says."""

from __future__ import annotations

from collections.abc import Iterator

from incumbent.store.check_walk import Walk
from incumbent.store.store import LOG
from incumbent.store.tables import Table
from incumbent.store.violation import Violation, guarded

CAN_BE_READ = "a table can be read"


def check_tables(walk: Walk) -> Iterator[Violation]:
    """Yield the violations of what each table holds now, and of folders with data files that are no table any more."""
    for name in walk.tables_with_files():
        yield from check_log(walk, name)
    for name, table in walk.store.tables().items():
        yield from guarded(CAN_BE_READ, name, _parts(walk, name, table))


def check_log(walk: Walk, name: str) -> Iterator[Violation]:
    """Yield a violation unless a table has a log: it is made before the first data file, and that before its record."""
    if not any(key.endswith(".json") for key in walk.store.table(name).blobs.names(LOG)):
        yield Violation(CAN_BE_READ, name, "no log; expected one, for there are files or records of its content")


def _parts(walk: Walk, name: str, table: Table) -> Iterator[Violation]:
    for part in table.parts().values():
        where = f"{name}, partition {part.partition}"
        held = walk.data([name], part.partition, part.digest, part.rows, where, is_current=True)
        yield from guarded(CAN_BE_READ, where, held)
