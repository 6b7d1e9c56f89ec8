"""Great Expectations on DuckDB. Importing this module costs seconds: import it inside a task."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine


class DuckDBEngine(SqlAlchemyExecutionEngine):
    """What DuckDB needs beyond Great Expectations 1.24 and duckdb-engine 0.17."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only reserved words are quoted, and DuckDB trips over others too, such as a column named `at`.
        preparer = self.engine.dialect.identifier_preparer
        with self.get_connection() as connection:
            words = connection.exec_driver_sql("SELECT keyword_name FROM duckdb_keywords()").scalars().all()
        preparer.reserved_words = preparer.reserved_words | set(words)

    def execute_query(self, query: Any) -> Any:
        """Return a result that holds its rows.

        Great Expectations reads them after the connection went back, and DuckDB's are gone by
        then: every metric fails with "list index out of range".
        """
        if isinstance(query, sa.TextClause):  # it has no parameters: a colon is a colon
            query = sa.text(query.text.replace(":", r"\:"))
        with self.get_connection() as connection:
            connection.exec_driver_sql("SET TimeZone='UTC'")  # a rule means the same on every host
            return self._execute_query_with_recovery(connection, query).freeze()()


class DuckDBFileDatasource(SQLDatasource):
    """A task-private DuckDB file."""

    type: Literal["duckdb_file"] = "duckdb_file"

    @property
    def execution_engine_type(self) -> Any:
        """The engine that speaks to DuckDB."""
        return DuckDBEngine
