"""Read a foreign file through a child that may die of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

import pyarrow as pa

from incumbent.admit.child import REFUSED
from incumbent.admit.columns import schema_of
from incumbent.admit.order import Order, Reason, Refused, quoted
from incumbent.errors import UnavailableError

PATIENCE = 5  # the processor may be somebody else's four times of five
ENDED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
COMMAND = ("-m", "incumbent.admit.child")
KEPT = ("PATH", "LANG", "LC_ALL", "TZDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR")

# Arrow's own allocator reserves a gigabyte of addresses at once, and each thread's arena more than a file needs.
LEAN = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True)
class Admitted:
    """A file as it is read.

    Attributes:
        rows: Its rows in the contract's columns.
        notes: What is worth knowing about its columns, by policy: `added`, `dropped`; known once rows were read.
    """

    rows: pa.RecordBatchReader
    notes: dict[str, str]


@contextmanager
def admitted(order: Order) -> Iterator[Admitted]:
    """Read a file's rows in the contract's columns; what the child refused is raised on leaving.

    The rows count only once this has been left without an error: a file that is cut short gives its first ones.

    Args:
        order: What to read and as what.

    Raises:
        Refused: The file is not what it should be, or its reader died of it.
        UnavailableError: The reader was ended from outside, or this machine is too busy: that says nothing of the file.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | LEAN  # and no secret
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, *COMMAND, order.to_json()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment,
        )  # fmt: skip
        late = Timer(PATIENCE * order.seconds, child.kill)
        late.start()
        broken: Exception | None = None
        try:
            assert child.stdout is not None  # noqa: S101 - told to be a pipe
            yield _admitted(order, child.stdout)
        except Exception as error:
            broken = error
        finally:
            if child.stdout is not None:
                child.stdout.close()
            code = _wait(child)
            late.cancel()
        if code in ENDED_FROM_OUTSIDE:
            raise UnavailableError(
                "the process that reads the file was ended from outside",
                where=Path(order.path).name,
                expected=f"its end within {PATIENCE * order.seconds} s",
                found=f"signal {-code}",
                next_step="try again; if it happens again, look for too little memory or too much else to do",
            )
        if code != 0:
            raise _why(order, code, said) from (None if order.private else broken)
        if broken is not None:
            raise broken


def _admitted(order: Order, stream: IO[bytes]) -> Admitted:
    """Return the child's batches, each checked from end to end before anything looks into it."""
    schema, notes = schema_of(order), dict[str, str]()

    def batches() -> Iterator[pa.RecordBatch]:
        with pa.ipc.open_stream(stream) as reader:
            if not reader.schema.equals(schema):
                raise pa.ArrowInvalid("the reader of the file sent other columns")
            told = reader.schema.metadata or {}
            notes.update({name.decode(): value.decode() for name, value in told.items() if value})
            for batch in reader:
                batch.validate(full=True)
                yield batch.replace_schema_metadata(None)

    return Admitted(pa.RecordBatchReader.from_batches(schema, batches()), notes)


def _wait(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(timeout=5)
    except subprocess.TimeoutExpired:  # its pipe is closed: nobody listens any more
        child.kill()
        return child.wait()


def _why(order: Order, code: int, said: IO[bytes]) -> Refused:
    said.seek(0)
    lines = said.read()[-20_000:].decode(errors="replace").strip().splitlines()
    if code == REFUSED and lines:
        return Refused.from_json(lines[-1])
    if code == -signal.SIGXCPU:
        limit = f"at most {order.seconds} s of a processor"
        return Refused(Reason.OUT_OF_TIME, "the file takes too long to read", expected=limit)
    if any("MemoryError" in line or "bad_alloc" in line for line in lines[-3:]):
        return Refused(Reason.OUT_OF_MEMORY, "the file takes too much memory", found=quoted(order, lines[-1]))
    found = f"signal {-code}" if code < 0 else f"exit code {code}: {quoted(order, ' '.join(lines[-1:]))}"
    return Refused(Reason.CRASHED, "the reader of the file died", expected="rows", found=found)
