"""From the id of an Airflow connection to a database that can be read, or written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from incumbent.errors import ConfigError
from incumbent.query import Style

if TYPE_CHECKING:
    from incumbent.publish.table import Warehouse
    from incumbent.validate.reading import Database

ADBC_POSTGRES = "adbc_driver_postgresql"
# What libpq takes from a connection's extra. With another key there (`iam`, `redshift`, …) only the hook knows
# how to connect. `cursor` is about psycopg's rows, which ADBC does not make.
LIBPQ = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "gssencmode", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "options", "passfile", "service",
        "sslcert", "sslcompression", "sslcrl", "sslkey", "sslmode", "sslpassword", "sslrootcert", "sslsni",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs", "tcp_user_timeout",
    }
)  # fmt: skip
# Of hooks that bring a cursor of their own, which does not say how it takes parameters.
STYLES: dict[str, Style] = {"gcpbigquery": "pyformat"}
IGNORED = frozenset({"cursor", "sqlalchemy_scheme", "sqlalchemy_query"})


def open_database(conn_id: str, where: str) -> Database:
    """Return the database behind a connection of Airflow, which is looked up now and connected to later.

    Args:
        conn_id: Id of the connection.
        where: What messages name.

    Raises:
        ConfigError: There is no such connection, or its hook is no `DbApiHook`.
    """
    from incumbent.validate.reading import Database

    hook = _database_hook(conn_id, where)
    style = STYLES.get(hook.connection.conn_type) or ("qmark" if hook.placeholder == "?" else "format")
    return Database(conn_id, _adbc(hook) or hook.get_conn, style, _secrets(hook))


def open_warehouse(conn_id: str, where: str) -> Warehouse:
    """Return the database behind a connection of Airflow, for who writes to it; see `open_database`.

    Its hook opens the connection, with all that the connection's extra says; SQLAlchemy gets the dialect from the
    hook and the connection as it is.
    """
    from sqlalchemy.pool import NullPool

    from incumbent.publish.table import Warehouse

    hook = _database_hook(conn_id, where)
    given = {"creator": lambda: _with_plain_rows(hook.get_conn()), "poolclass": NullPool, "hide_parameters": True}
    try:
        engine, problem = hook.get_sqlalchemy_engine(given), ""
    except (
        Exception
    ) as error:  # NotImplementedError, or a dialect that is not installed: its words may hold the address
        engine, problem = None, f"{type(hook).__name__}, without one ({type(error).__name__})"
    if engine is None:
        raise _error(where, conn_id, "the connection's hook names no dialect of SQLAlchemy", problem)
    return Warehouse(conn_id, engine.connect, _secrets(hook))


def _database_hook(conn_id: str, where: str) -> Any:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    hook, problem = _hook(conn_id)
    if problem:
        raise _error(where, conn_id, "the connection cannot be used", problem)
    if not isinstance(hook, DbApiHook):
        raise _error(where, conn_id, "the connection is not to a database", f"{type(hook).__name__}, no DbApiHook")
    return hook


def _secrets(hook: Any) -> frozenset[str]:
    connection = hook.connection
    return frozenset(filter(None, [connection.password, *_texts(connection.extra_dejson)]))


def _with_plain_rows(connection: Any) -> Any:
    """Return a connection whose rows are tuples, whatever `cursor` in the connection's extra asks for."""
    driver = type(connection).__module__.partition(".")[0]
    if driver == "psycopg":
        from psycopg.rows import tuple_row

        connection.row_factory = tuple_row
    elif driver == "psycopg2":
        connection.cursor_factory = None
    return connection


def _hook(conn_id: str) -> tuple[Any, str]:
    """Return a connection's hook, or what is wrong with the connection, never in the words of who parsed it.

    Airflow repeats an address that it cannot read, and with it the password.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None, "there is none of this id"
    except Exception as error:
        return None, f"its definition cannot be read ({type(error).__name__})"
    try:
        return connection.get_hook(), ""
    except ImportError as error:
        return None, f"type {connection.conn_type}: {error}"
    except Exception as error:
        return None, f"type {connection.conn_type}, for which no provider is installed ({type(error).__name__})"


def _adbc(hook: Any) -> Callable[[], Any] | None:
    """Return what connects to PostgreSQL through ADBC, if the driver is installed and can do what the hook does."""
    connection = hook.connection
    if connection.conn_type != "postgres" or find_spec(ADBC_POSTGRES) is None:
        return None
    extra = {key: value for key, value in connection.extra_dejson.items() if key not in IGNORED}
    if not extra.keys() <= LIBPQ:
        return None
    address = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": hook.database or connection.schema,
    }
    given = {key: value for key, value in (address | extra).items() if value not in (None, "")}
    return lambda: import_module(f"{ADBC_POSTGRES}.dbapi").connect(conninfo(given))


def conninfo(given: Mapping[str, object]) -> str:
    """Return libpq's keyword form: in a URL a password is written in other letters, which nobody hides."""
    quoted = {key: str(value).replace("\\", "\\\\").replace("'", "\\'") for key, value in given.items()}
    return " ".join(f"{key}='{value}'" for key, value in quoted.items())


def _texts(value: object) -> Iterator[str]:
    """Return each text of a connection's extra; which of them are secret only the provider knows."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, str) and len(value) > 3:
        yield value


def _error(where: str, conn_id: str, what: str, found: str) -> ConfigError:
    return ConfigError(
        what,
        where=f"{where}, connection {conn_id}",
        expected="a connection whose hook is a DbApiHook, such as those of the providers postgres, snowflake or google",
        found=found,
        next_step="install the provider, define the connection in Airflow, or correct `connection` in model.yaml",
    )
