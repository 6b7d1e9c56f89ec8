"""`sources` and `label`: what comes in, and what is predicted."""

from __future__ import annotations

import re
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from incumbent.config.strict import CONNECTION, Strict
from incumbent.query import parameters_of


class Source(Strict):
    """One feed of files; with a `connection`, of files that a query on a database writes.

    Attributes:
        role: `batch` is scored, `outcomes` brings the truth later, `context` is looked up.
        path: File pattern below the raw folder; `{partition}` stands for the partition key.
        once: The source is one file for all partitions (planes, airlines).
        lookback_days: Context only: days before the partition whose rows may be joined too.
        known_at: Context only: timestamp column that says when a row was known. No feature may depend on a row that
            was known after the batch's time: the first build of a definition proves it.
        connection: Id of the Airflow connection of a database; see docs/database-sources.md.
        table: Folder or `s3://` address of a Delta table, which `query` calls `source`; see docs/delta-sources.md.
        query: One SELECT with the parameters `:start`, `:end` and `:partition`; its rows are the partition's file.
        timezone: Zone of timestamps that the database or table keeps without one; such a column is refused when absent.
        delay_hours: Hours after the partition's end at which the query runs; `label.delay_days` for the outcomes
            and 0 for the others when absent.
    """

    role: Literal["batch", "outcomes", "context"]
    path: str
    once: bool = False
    lookback_days: int = Field(0, ge=0, le=366)
    known_at: str | None = None
    connection: str | None = None
    table: str | None = None
    query: str | None = None
    timezone: str | None = None
    delay_hours: float | None = Field(None, ge=0, le=8784)

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        return name if name is None else known_zone(name)

    @field_validator("query")
    @classmethod
    def _query_can_be_read(cls, query: str | None) -> str | None:
        if query is not None:
            parameters_of(query)
        return query

    @model_validator(mode="after")
    def _path_fits_role(self) -> Source:
        if self.once == ("{partition}" in self.path):
            raise ValueError("a path holds {partition} exactly when `once` is false")
        if self.once and self.role != "context":
            raise ValueError("only a context source may be `once`")
        if self.known_at is not None and (self.once or self.role != "context"):
            raise ValueError("`known_at` is of a context source with rows over time")
        return self

    @model_validator(mode="after")
    def _database_is_complete(self) -> Source:
        names = ("connection", "table", "query", "timezone", "delay_hours")
        given = [name for name in names if getattr(self, name) is not None]
        if not given:
            return self
        if self.table is not None and self.connection is not None:
            raise ValueError("`connection` is of a database and `table` of a Delta table: a source has one of them")
        origin = self.connection or self.table
        if origin is None or self.query is None:
            missing = "query" if origin is not None else "connection"
            raise ValueError(f"`{given[0]}` is of a source from a database, which needs `{missing}` too")
        if self.table is not None and not re.fullmatch(r"/.+|s3://[^/]+/.+", self.table):
            raise ValueError("`table` is the full path of a folder, or s3://bucket/prefix")
        if self.connection is not None and not re.fullmatch(CONNECTION, self.connection):
            # Whoever wrote an address here wrote a password: the message does not repeat it.
            raise ValueError("`connection` is the id of an Airflow connection, which holds address and password")
        if self.once:
            raise ValueError(
                "a source from a database is read for each partition: `path` holds it, and `once` is false"
            )
        if not self.path.endswith(".parquet"):
            raise ValueError("the path of a source from a database ends in .parquet: such a file is written there")
        if self.role != "context" and not _is_one_partition(parameters_of(self.query)):
            raise ValueError("`query` asks for one partition: by :start and :end, or by :partition")
        return self


def _is_one_partition(parameters: frozenset[str]) -> bool:
    return {"start", "end"} <= parameters or "partition" in parameters


def known_zone(name: str) -> str:
    """Return a time zone's name, or say that no zone has it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone has the name {name!r}; names look like America/New_York") from error
    return name


class Label(Strict):
    """What is predicted, as SQL over the outcomes source.

    Attributes:
        sql: Expression over outcome columns; boolean or 0/1 for binary, a number for regression, for multiclass one of
            `classes`, as text.
        where: Filter of outcomes that have a label at all (cancelled flights have none).
        delay_days: Days after an event until its outcome is known; the default embargo.
        classes: Multiclass only, and needed there: three or more, in the order of the probabilities in a prediction.
    """

    sql: str
    where: str = "true"
    delay_days: int = Field(1, ge=0)
    classes: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if classes and (len(set(classes)) < 3 or len(set(classes)) < len(classes) or "" in classes):
            raise ValueError("`classes` are three or more, each once and none empty; two classes are task binary")
        return classes


class Evaluate(Strict):
    """How contenders are compared.

    Attributes:
        holdout_days: Newest days of the window that are gate rows and never training rows.
        embargo_days: Days between training and gate rows; the label delay when absent.
        cluster: Columns whose rows share their luck (a day's weather); empty for independent rows. Of the
            keys, the time and `local_date`: MONITOR has no other columns beside the predictions.
    """

    holdout_days: int = Field(7, ge=1)
    embargo_days: int | None = Field(None, ge=0)
    cluster: tuple[str, ...] = ()
