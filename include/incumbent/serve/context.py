"""What a live row looks up: the context sources as its partition may see them, in a database of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import duckdb

from incumbent.config import Model
from incumbent.features.compute import open_duckdb, quoted
from incumbent.features.inputs import ONCE, Delivered, seen_of
from incumbent.records import Part, digest_of
from incumbent.store import ModelStore
from incumbent.store.log import PARTITION
from incumbent.store.removals import kept

OPEN = 8  # partitions whose context is at hand

Parts = Mapping[str, Sequence[Part]]
T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What the rows of a partition may look up.

    Attributes:
        parts: Context source to its contents.
        missing: Sources of which nothing was delivered for the partition itself.
        digest: One digest of the contents.
    """

    parts: Parts
    missing: tuple[str, ...]
    digest: str


class Context(Generic[T]):
    """The context sources of a model as they were delivered at one moment; for one thread.

    Args:
        store: The model's store.
        model: Its configuration.
        now: What was delivered, of all sources.
        prepare: Makes what works over the sources of a partition, of a connection that has them and its key.
    """

    def __init__(
        self,
        store: ModelStore,
        model: Model,
        now: Delivered,
        prepare: Callable[[duckdb.DuckDBPyConnection, str], T],
    ) -> None:
        self._store, self._model, self._now, self._prepare = store, model, now, prepare
        self._database = open_duckdb()
        self._database.execute("SET threads=1")  # sums of floats do not depend on who comes first, and rows are few
        self._open: OrderedDict[tuple[str, str], tuple[duckdb.DuckDBPyConnection, T]] = OrderedDict()
        self._tables: dict[tuple[str, str], set[str]] = {}

    def of(self, partition: str) -> Seen:
        """Return what a partition may look up, by the rule by which its features are computed."""
        parts = dict[str, Sequence[Part]]()
        missing = list[str]()
        for source in self._model.context_sources:
            there = self._now[source]
            if (ONCE if self._model.sources[source].once else partition) not in there:
                missing.append(source)
            once = self._model.sources[source].once and ONCE not in there
            parts[source] = () if once else seen_of(self._model, source, partition, there)
        return Seen(parts, tuple(missing), digest_of({name: [p.digest for p in each] for name, each in parts.items()}))

    def opened(self, partition: str, looked: Seen) -> T:
        """Return what works over the context of a partition; made when it is asked for, and kept a while.

        Raises:
            StoreError: Something of the context is gone or has changed.
        """
        name = (partition, looked.digest)
        if name not in self._open:
            self._open[name] = self._made(name, looked)
            self._forget()
        self._open.move_to_end(name)
        return self._open[name][1]

    def _made(self, name: tuple[str, str], looked: Seen) -> tuple[duckdb.DuckDBPyConnection, T]:
        connection, tables = self._database.cursor(), set[str]()
        connection.execute("SET TimeZone='UTC'")  # a cursor starts with the host's
        for source, parts in looked.parts.items():
            each = [self._loaded(source, part) for part in parts] or [self._loaded(source, None)]
            every = " UNION ALL ".join(f"SELECT * FROM {quoted([table])}" for table in each)
            connection.execute(f"CREATE TEMP VIEW {quoted([source])} AS {every}")
            tables.update(each)
        made = self._prepare(connection, name[0])
        self._tables[name] = tables
        return connection, made

    def _loaded(self, source: str, part: Part | None) -> str:
        """Return the name of the table with a content, or with none of its rows."""
        name = f"#{source}-{part.digest if part else ''}"
        if any(name in each for each in self._tables.values()):
            return name
        table = self._store.source(self._model.sources[source].role, source)
        rows = table.read_parts([] if part is None else [kept(self._store.records, table.name, part)])
        hidden = {PARTITION, *self._model.sensitive.kept_out.get(source, ())}
        rows = rows.select([each for each in rows.column_names if each not in hidden])
        self._database.register("#rows", rows)
        self._database.execute(f'CREATE OR REPLACE TABLE {quoted([name])} AS SELECT * FROM "#rows"')
        self._database.unregister("#rows")
        return name

    def _forget(self) -> None:
        """Close what was not asked for of late."""
        while len(self._open) > OPEN:
            name, (connection, _) = self._open.popitem(last=False)
            gone = self._tables.pop(name)
            connection.close()
            for table in gone.difference(*self._tables.values()):
                self._database.execute(f"DROP TABLE {quoted([table])}")
