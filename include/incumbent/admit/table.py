"""The process that reads a foreign Delta table: `python -m incumbent.admit.table`, its order on standard input.

Rows go to standard output as Arrow batches, with the table's version in the schema; what is wrong is one line of JSON
on standard error. The order has credentials, so it is no argument, which every user of the machine could read.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from incumbent.admit.child import REFUSED, limit
from incumbent.sensitive import quotable

VIEW = "source"
BATCH_ROWS = 65_536
MEMORY = 4 * 2**30  # on top of what the libraries take by being there
OF_THE_FILES = f"reading the stream registered as '{VIEW}' failed"  # what DuckDB says of the table's own files
SORT_MEMORY = "512MB"


def main(text: str) -> int:
    """Read what the order says; return 0, or `REFUSED` after saying why."""
    order = json.loads(text)
    limit(MEMORY)
    kind, error = "table", Exception()
    try:
        found, version = _open(order)
        kind = "query"
        _write(order, found, version)
        return 0
    except (MemoryError, pa.ArrowMemoryError, duckdb.OutOfMemoryException) as caught:
        kind, error = "memory", caught
    except duckdb.Error as caught:
        kind, error = "away" if OF_THE_FILES in str(caught) else kind, caught
    except (OSError, pa.ArrowException) as caught:
        kind, error = "away", caught
    except Exception as caught:  # the library's own, which are not told apart by class
        error = caught
    said = re.sub(r"\x1b\[\d*m", "", quotable(error, order["private"] and kind != "table", 500))
    sys.stderr.write(f"\n{json.dumps({'kind': kind, 'said': said})}\n")
    return REFUSED


def _open(order: dict[str, Any]) -> tuple[Any, int]:
    """Return the table's newest version as a dataset, and its number."""
    from deltalake import DeltaTable

    table = DeltaTable(order["address"], storage_options=order["options"] or None)
    return table.to_pyarrow_dataset(), table.version()


def _write(order: dict[str, Any], found: Any, version: int) -> None:
    config = {"threads": "1", "memory_limit": SORT_MEMORY, "temp_directory": order["spill"]}
    connection = duckdb.connect(config=config)
    connection.execute("SET TimeZone='UTC'; SET enable_progress_bar=false")
    connection.execute("SET enable_external_access=false; SET lock_configuration=true")
    connection.register(VIEW, found)
    given = [datetime.fromisoformat(value) if kind == "time" else value for kind, value in order["given"]]
    rows = connection.execute(order["query"], given).to_arrow_reader(BATCH_ROWS)
    schema = rows.schema.with_metadata({"version": str(version)})
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
        for batch in rows:
            stream.write_batch(batch.replace_schema_metadata(schema.metadata))


if __name__ == "__main__":
    code = main(sys.stdin.read())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the libraries' threads must not be waited for
