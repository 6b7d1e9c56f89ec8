"""The process that reads a foreign file: `python -m incumbent.admit.child ORDER`, rows on standard output.

What it writes are Arrow batches in the contract's columns; what it refuses is one line of JSON on standard error. A
file that makes a parser take all memory, loop or crash takes this process with it and nothing else.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from incumbent.admit.order import Format, Order, Reason, Refused, quoted
from incumbent.admit.parquet import read_parquet
from incumbent.admit.text import read_csv, read_json

REFUSED = 3
READERS: Mapping[Format, Callable[[Order], Iterator[pa.RecordBatch]]] = {
    "csv": read_csv,
    "json": read_json,
    "parquet": read_parquet,
}


def main(text: str) -> int:
    """Read what the order says; return 0, or `REFUSED` after saying why."""
    order = Order.from_json(text)
    limit(order.memory, order.seconds)
    try:
        _write(order, sys.stdout.buffer)
    except Refused as refused:
        sys.stderr.write(f"\n{refused.to_json()}\n")
        return REFUSED
    except MemoryError as error:
        sys.stderr.write(f"\n{_memory(order, error).to_json()}\n")
        return REFUSED
    except (pa.ArrowException, OSError, ValueError) as error:
        sys.stderr.write(f"\n{_unreadable(order, error).to_json()}\n")
        return REFUSED
    return 0


def limit(memory: int, seconds: int | None = None) -> None:
    """Let this process take so many bytes on top of what it has, and so much of a processor's time if it is said."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def _write(order: Order, output: object) -> None:
    rows, stream = 0, None
    for batch in READERS[order.format](order):
        stream = stream or pa.ipc.new_stream(output, batch.schema)
        rows += batch.num_rows
        if rows > order.max_rows:
            found = f"{rows} and more"
            raise Refused(Reason.TOO_MANY_ROWS, "the file has too many rows", expected=order.max_rows, found=found)
        stream.write_batch(batch)
    if stream is None or not rows:
        raise Refused(Reason.EMPTY_INPUT, "the file has no rows", expected="rows", found="0 rows")
    stream.close()


def _unreadable(order: Order, error: Exception) -> Refused:
    said = " ".join(str(error).split())
    if "CRC checksum" in said or "checksum verification failed" in said:
        return Refused(
            Reason.CHECKSUM, "a page of the file has changed", expected="its checksum", found=quoted(order, said)
        )
    if isinstance(error, pa.ArrowMemoryError) or "malloc" in said:
        return _memory(order, error)
    names = {"csv": "CSV with a header", "json": "one JSON object a line", "parquet": "Parquet"}
    return Refused(
        Reason.UNREADABLE, "the file cannot be read", expected=names[order.format], found=quoted(order, said)
    )


def _memory(order: Order, error: Exception) -> Refused:
    limit = f"at most {order.memory // 2**20} MiB to read it with"
    return Refused(Reason.OUT_OF_MEMORY, "the file takes too much memory", expected=limit, found=quoted(order, error))


if __name__ == "__main__":
    code = main(sys.argv[1])
    if code == 0:
        sys.stdout.buffer.flush()
    sys.stderr.flush()
    os._exit(code)  # what is half read must not be torn down in order
