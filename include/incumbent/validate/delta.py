"""The rows of a query on a foreign Delta table, in batches: read by a child process, as one version of the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

import pyarrow as pa

from incumbent.admit.child import REFUSED
from incumbent.admit.read import KEPT, LEAN
from incumbent.errors import ConfigError, PipelineError, UnavailableError
from incumbent.query import bind
from incumbent.redact import redact
from incumbent.sensitive import NOT_SHOWN
from incumbent.validate.reading import Columns, Rows

COMMAND = ("-m", "incumbent.admit.table")


@dataclass(frozen=True)
class DeltaAddress:
    """How to reach a table.

    Attributes:
        address: A folder, or `s3://bucket/prefix`.
        options: What Delta Lake needs of S3; none of their texts is repeated in a message.
    """

    address: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


class DeltaReading:
    """One query on the newest version of a table, read in one thread and cancelled from any other.

    Args:
        table: Where it lies.
        query: SELECT over `source`, with `:start`, `:end`, `:partition`.
        values: What those are.
        where: What messages name.
        private: The rows hold what nobody is shown.
    """

    def __init__(
        self,
        table: DeltaAddress,
        query: str,
        values: Mapping[str, datetime | str],
        where: str,
        private: bool = False,
    ) -> None:
        self.table = table
        self.query = query.strip().rstrip(";")
        self.values = values
        self.where = where
        self.private = private
        self.through = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    def __iter__(self) -> Iterator[Rows]:
        """Yield the rows in batches, the first also when it is empty.

        Raises:
            UnavailableError: The table cannot be read now, or the reading was cancelled.
            ConfigError: There is no such table, it cannot be read by this version, or it does not take the query.
        """
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | LEAN
        with tempfile.TemporaryDirectory(prefix="incumbent-") as spill, tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment
            )
            self._child = child
            if self._is_cancelled:
                child.kill()
            failure: PipelineError | None = None
            try:
                yield from self._batches(child, spill)
            except (pa.ArrowException, OSError):
                failure = self._failure(child.wait(), said)  # the stream ends where the child did
            finally:
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()
                if failure is None:
                    child.kill()  # it has nothing left to say
                code = child.wait()
            if failure is not None:
                raise failure
            if self._is_cancelled and code:
                raise self._failure(code, said)

    def cancel(self) -> None:
        """End the reading."""
        self._is_cancelled = True
        if self._child is not None:
            self._child.kill()

    def _batches(self, child: subprocess.Popen[bytes], spill: str) -> Iterator[Rows]:
        text, given = bind(self.query, "qmark", self.values)
        order = {
            "address": self.table.address,
            "options": dict(self.table.options),
            "query": text,
            "given": [
                ("time", value.isoformat()) if isinstance(value, datetime) else ("text", value) for value in given
            ],
            "spill": spill,
            "private": self.private,
        }
        assert child.stdin is not None and child.stdout is not None  # noqa: S101 - told to be pipes
        with child.stdin:
            child.stdin.write(json.dumps(order).encode())
        with pa.ipc.open_stream(child.stdout) as reader:
            self.through = f"Delta Lake, version {(reader.schema.metadata or {})[b'version'].decode()}"
            yield Columns(reader.schema.empty_table())
            for batch in reader:
                batch.validate(full=True)
                yield Columns(pa.table(batch))
        if child.wait() != 0:
            raise pa.ArrowInvalid("the reader died after its last batch")

    def _failure(self, code: int, said: IO[bytes]) -> PipelineError:
        where = f"{self.where}, table {self.table.address}"
        if self._is_cancelled:
            return UnavailableError(
                "the reading was cancelled", where=where, next_step="run the task again; no file was written"
            )
        said.seek(0)
        lines = said.read()[-20_000:].decode(errors="replace").strip().splitlines()
        plain = json.loads(lines[-1]) if code == REFUSED and lines else {"kind": "memory", "said": ""}
        secrets = frozenset(
            value for name, value in self.table.options.items() if name.endswith(("KEY", "TOKEN", "ID"))
        )
        last = "" if self.private else " ".join(lines[-1:])[:300]
        found = redact(plain["said"] or f"its reader ended with {code} {last}", secrets) or NOT_SHOWN
        if plain["kind"] in ("away", "memory"):
            return UnavailableError(
                "the table cannot be read to the end",
                where=where,
                expected="files that stay while they are read, and 4 GiB of memory at the most",
                found=found,
                next_step="ask for fewer rows in `query`, or look whether the table was vacuumed; it is tried again",
            )
        if plain["kind"] == "table":
            return ConfigError(
                "the table cannot be opened",
                where=where,
                expected="a Delta table whose features this reader knows",
                found=found,
                next_step="correct `table` in model.yaml, or the credentials; docs/delta-sources.md has the features",
            )
        return ConfigError(
            "the table does not take the query",
            where=where,
            expected="one SELECT over `source` in DuckDB's SQL",
            found=found,
            next_step="correct `query` in model.yaml",
        )
