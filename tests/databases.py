"""Databases for tests of sources: a PostgreSQL server in a process of its own, SQLite, and DuckDB through ADBC."""

import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_duckdb.dbapi
import adbc_driver_postgresql.dbapi
import duckdb
import psycopg
import psycopg2
import pytest

from incumbent.validate.reading import Database
from incumbent_airflow.databases import conninfo

PROGRAMS = "/usr/lib/postgresql/*/bin"
LOGIN, PASSWORD = "owner", "p@ss w0rd/%'\\"  # a URL, a shell and libpq write each of these in another way
START_S = 60


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    port: int

    def address(self, **changed: Any) -> dict[str, Any]:
        """Return the address as psycopg takes it."""
        plain = {"host": "127.0.0.1", "port": self.port, "user": LOGIN, "password": PASSWORD, "dbname": "postgres"}
        return plain | changed

    def connection(self, **changed: Any) -> dict[str, Any]:
        """Return the address as a connection of Airflow."""
        plain = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port, "schema": "postgres"}
        return plain | {"login": LOGIN, "password": PASSWORD} | changed

    def run(self, *statements: str, many: tuple[str, list[Any]] | None = None) -> None:
        with psycopg.connect(**self.address()) as connection:
            for statement in statements:
                connection.execute(statement)
            if many:
                connection.cursor().executemany(*many)

    def ask(self, query: str) -> list[Any]:
        with psycopg.connect(**self.address()) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server on a free port; a test that has none is skipped, and fails where CI is set."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="incumbent-postgres-"))
    user: dict[str, Any] = {"cwd": folder}
    if os.getuid() == 0:  # the server refuses root
        shutil.chown(folder, "nobody")
        user |= {"user": "nobody", "group": _group_of("nobody"), "extra_groups": []}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    init = [programs / "initdb", "-D", folder / "data", "-U", LOGIN, "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
    subprocess.run(
        [*init, "--locale=C.UTF-8", f"--pwfile={folder / 'password'}"], **user, check=True, capture_output=True
    )
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    words = [programs / "postgres", "-D", folder / "data", "-p", str(port)]
    words += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, **user, stdout=log, stderr=log)
    try:
        server = Postgres(port)
        _await(server, process, folder / "log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # ends what is open, then itself
        process.wait(START_S)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/").glob(PROGRAMS[1:]))
    if not found and os.environ.get("CI") == "true":
        pytest.fail(f"there is no PostgreSQL server in {PROGRAMS}: .ci/run installs one")
    if not found:
        pytest.skip(f"there is no PostgreSQL server in {PROGRAMS}; Debian's package is postgresql")
    return found[-1]


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _await(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            return server.run("SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL does not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)


@dataclass(frozen=True)
class Reader:
    """One way to read one database.

    Attributes:
        through: What the reading should say it went through.
        database: Where to read.
        make: Makes the table `rows` anew, with rows as Python objects.
        has_nan: The database keeps NaN, and decimals with all their digits.
    """

    through: str
    database: Database
    make: Callable[[list[tuple[Any, ...]]], None]
    has_nan: bool = True


COLUMNS = ("id", "seen", "day", "x", "amount", "flag", "name")


def postgres_reader(server: Postgres, through: str, **changed: Any) -> Reader:
    """Return a reader of the server through `ADBC`, `psycopg` or `psycopg2`, as Airflow's hook would connect."""
    address = server.address(**changed)
    connect: Callable[[], Any] = {
        "ADBC": lambda: adbc_driver_postgresql.dbapi.connect(conninfo(address)),
        "psycopg": lambda: psycopg.connect(**address),
        "psycopg2": lambda: psycopg2.connect(**address),
    }[through]

    def make(rows: list[tuple[Any, ...]]) -> None:
        types = "id int8, seen timestamptz, day date, x float8, amount numeric, flag bool, name text"
        sql = f"INSERT INTO rows VALUES ({', '.join(['%s'] * len(COLUMNS))})"
        server.run("DROP TABLE IF EXISTS rows", f"CREATE TABLE rows ({types})", many=(sql, rows))

    return Reader(through, Database("shop", connect, secrets=frozenset({PASSWORD})), make)


def sqlite_reader(folder: Path) -> Reader:
    """Return a reader of a file that Python's own driver opens: no types, so times are text and truths are 0 and 1."""
    path = folder / "rows.sqlite"

    def make(rows: list[tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE IF EXISTS rows")
            connection.execute(
                "CREATE TABLE rows (id INTEGER, seen TEXT, day TEXT, x REAL, amount REAL, flag INTEGER, name)"
            )
            plain = [[_plain(value) for value in row] for row in rows]
            connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(COLUMNS))})", plain)
            connection.commit()

    # Where it is compared, text must be of one form: the driver binds a time as `2020-01-01 00:00:00+00:00`.
    return Reader("sqlite3", Database("shop", lambda: sqlite3.connect(path)), make, has_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, date) else value


def duckdb_reader(folder: Path) -> Reader:
    """Return a reader of DuckDB through its ADBC driver: the way of every ADBC driver but PostgreSQL's."""
    path = folder / "rows.duckdb"

    def make(rows: list[tuple[Any, ...]]) -> None:
        types = "id int8, seen timestamptz, day date, x double, amount decimal(18, 3), flag bool, name text"
        with closing(duckdb.connect(str(path))) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE rows ({types})")
            if rows:
                connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(COLUMNS))})", rows)

    database = Database("shop", lambda: adbc_driver_duckdb.dbapi.connect(str(path)))
    return Reader("ADBC", database, make)
