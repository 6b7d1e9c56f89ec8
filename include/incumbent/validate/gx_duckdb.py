"""Great Expectations on DuckDB. Importing this module costs seconds: import it inside a task."""

from __future__ import annotations

from typing import Any, Literal

from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine


class FrozenResultsEngine(SqlAlchemyExecutionEngine):
    """Read results before the connection goes back.

    Great Expectations 1.24 reads them after, and DuckDB's are gone by then: every metric fails
    with "list index out of range".
    """

    def execute_query(self, query: Any) -> Any:
        """Return a result that holds its rows."""
        with self.get_connection() as connection:
            return self._execute_query_with_recovery(connection, query).freeze()()


class DuckDBFileDatasource(SQLDatasource):
    """A task-private DuckDB file."""

    type: Literal["duckdb_file"] = "duckdb_file"

    @property
    def execution_engine_type(self) -> Any:
        """The engine that freezes results."""
        return FrozenResultsEngine
