"""`publish`: where else predictions go."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from incumbent.config.strict import CONNECTION, Strict

TABLE = r"([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}"


class Publish(Strict):
    """A table of a database, or a folder of Parquet files, that holds what the predictions table holds.

    Attributes:
        connection: Id of the Airflow connection of the database; with a `path` in a bucket, of its credentials, which
            are those of the store when absent.
        table: Table of that database, with its schema if need be; made when it is not there.
        path: Full path of a folder that all workers share, or `s3://` address, in the place of a table.
    """

    connection: str | None = Field(None, min_length=1)
    table: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Publish:
        if (self.table is None) == (self.path is None):
            raise ValueError("predictions are published to a `table` of a database or to a `path`: name one of them")
        if self.table is not None and self.connection is None:
            raise ValueError("`table` is of a database, which needs `connection` too")
        if self.connection is not None and not re.fullmatch(CONNECTION, self.connection):
            # Whoever wrote an address here wrote a password: the message does not repeat it.
            raise ValueError("`connection` is the id of an Airflow connection, which holds address and password")
        if self.table is not None and not re.fullmatch(TABLE, self.table):
            raise ValueError("`table` is a name, or a schema and a name with a dot between them")
        if self.path is not None and not re.fullmatch(r"/.+|s3://[^/]+/.+", self.path):
            raise ValueError("`path` is the full path of a folder, or s3://bucket/prefix")
        if self.connection is not None and self.path is not None and self.path.startswith("/"):
            raise ValueError("`connection` is of a database or of a bucket; a folder needs none")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """What tells one place from another."""
        return (self.connection or "", self.table or (self.path or "").rstrip("/"))
