"""The room that a private DuckDB has: some memory, and a folder for what does not fit into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from incumbent.errors import UnavailableError

MEMORY = "1GB"


def private_duckdb(spilled: Path, threads: int | None = None, file: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return an empty DuckDB, which means the same on every host and keeps to its room.

    Args:
        spilled: Folder for what does not fit; made when it is needed, and nobody else's.
        threads: How many; one for each core if None.
        file: Where its tables are; in memory if None, which is faster for those that fit into it. A table that is
            mostly spilled keeps some bytes a row in memory for good, and leaves no room to work in.
    """
    config: dict[str, str | int] = {"memory_limit": MEMORY, "temp_directory": str(spilled)}
    config |= {} if threads is None else {"threads": threads}
    connection = duckdb.connect(file or ":memory:", config=config)
    connection.execute("SET TimeZone='UTC'")
    return connection


@contextmanager
def enough_room(where: str, or_else: str) -> Iterator[None]:
    """Tell a machine that is too small for some rows from rows, or SQL, that are wrong.

    Args:
        where: What is worked on, for the message.
        or_else: What to do about it, other than a larger disk.

    Raises:
        UnavailableError: The database ran out of memory, and of room for what does not fit into it.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UnavailableError(
            "there is not enough room for the rows",
            where=where,
            expected=f"{MEMORY} of memory, and space for the rows a few times over in the temporary folder",
            found=" ".join(str(error).split())[:200],
            next_step=f"point TMPDIR at a larger disk, or {or_else}",
        ) from error
