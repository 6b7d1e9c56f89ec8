"""The truth as SQL over the outcomes: one query, and one way to say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.features.compute import literal, quoted
from incumbent.sensitive import MASK, quotable

SHOWN = 5


def label_query(model: Model, outcomes: str, columns: Sequence[str] = ()) -> str:
    """Return the query of keys and `label` (DOUBLE) of the outcomes that have a label.

    A class is its position among the model's classes; see `check_classes` for what is none of them.

    Args:
        model: Its `label.sql`, `label.where` and `label.classes` say what the truth is.
        outcomes: A table, a view, or a query in brackets.
        columns: Columns of the outcomes that come before the label; the keys if there are none.
    """
    label = model.label.sql
    if classes := model.label.classes:
        label = f"list_position([{', '.join(map(literal, classes))}], ({label})::VARCHAR) - 1"
    return (
        f"SELECT * FROM (SELECT {quoted(list(columns or model.keys))}, ({label})::DOUBLE AS label "
        f"FROM {outcomes} WHERE {model.label.where}) WHERE label IS NOT NULL"
    )


def check_classes(connection: duckdb.DuckDBPyConnection, model: Model, outcomes: str) -> None:
    """Refuse labels that are none of the model's classes: left out, they would be missed by nobody.

    Args:
        connection: A database that has the outcomes.
        model: Whose label it is; one without classes has nothing to refuse.
        outcomes: As in `label_query`.

    Raises:
        ConfigError: There is one.
    """
    if not (classes := model.label.classes):
        return
    text = f"({model.label.sql})::VARCHAR"
    query = (
        f"SELECT {text}, count(*) FROM {outcomes} WHERE ({model.label.where}) "
        f"AND {text} NOT IN ({', '.join(map(literal, classes))}) GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    if not (found := connection.execute(query).fetchall()):
        return
    hide = bool(model.sensitive.masked.get(model.outcome_source))
    shown = MASK if hide else ", ".join(repr(value) for value, _ in found[:SHOWN])
    more = f" and {len(found) - SHOWN} others" if len(found) > SHOWN and not hide else ""
    raise ConfigError(
        "a label is none of the classes",
        where=f"model {model.name}: label",
        expected="one of " + ", ".join(classes[:20]),
        found=f"{shown}{more} in {sum(rows for _, rows in found)} outcomes",
        next_step="add it to label.classes, call it by one of them in label.sql, or leave it out with label.where",
    )


@contextmanager
def told_of_label(model: Model, columns: Sequence[str]) -> Iterator[None]:
    """Tell what the database says of a label in our words.

    Args:
        model: Whose label it is.
        columns: Of the outcomes.

    Raises:
        ConfigError: The label cannot be computed.
    """
    hide = bool(model.sensitive.masked.get(model.outcome_source))
    try:
        yield
    except duckdb.Error as error:
        raise ConfigError(
            "the label cannot be computed",
            where=f"model {model.name}: label",
            expected="SQL over the outcome columns: " + ", ".join(columns),
            found=quotable(error, hide),
            next_step="correct label.sql or label.where in model.yaml",
        ) from (None if hide else error)


def two_labels(model: Model, key: Sequence[object]) -> ConfigError:
    """Return the error of a row that would be trained on, or judged, twice."""
    masked = model.sensitive.masked.get(model.outcome_source, ())
    shown = [MASK if name in masked else str(value) for name, value in zip(model.keys, key, strict=True)]
    return ConfigError(
        "a row has more than one label",
        where=f"model {model.name}: label",
        expected=f"one labelled outcome for each {', '.join(model.keys)}",
        found=f"several for {', '.join(shown)}",
        next_step="choose one with label.where in model.yaml, or make the outcomes' key the model's",
    )
