"""The truth as SQL over the outcomes: one query, and one way to say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.features.compute import quoted
from incumbent.sensitive import MASK, quotable


def label_query(model: Model, outcomes: str) -> str:
    """Return the query of keys and `label` (DOUBLE) of the outcomes that have a label.

    Args:
        model: Its `label.sql` and `label.where` say what the truth is.
        outcomes: A table, a view, or a query in brackets.
    """
    return (
        f"SELECT * FROM (SELECT {quoted(model.keys)}, ({model.label.sql})::DOUBLE AS label "
        f"FROM {outcomes} WHERE {model.label.where}) WHERE label IS NOT NULL"
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
