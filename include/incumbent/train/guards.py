"""What a training needs to succeed, checked in seconds before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import numpy.typing as npt

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.features.out_of_core import labels_known
from incumbent.records import Snapshot
from incumbent.sensitive import MASK
from incumbent.store import ModelStore
from incumbent.train.own_split import is_own_split
from incumbent.train.rows import TrainingRows

SHOWN = 5


@dataclass(frozen=True)
class Labels:
    """What there is to know of some labels before anything is learned from them.

    Attributes:
        rows: How many.
        not_finite: Of them NaN or infinite.
        least, largest: Of the finite ones; 0 if there is none.
        others: A few finite values that are neither 0 nor 1.
        missing: Classes that no row has.
    """

    rows: int
    not_finite: int
    least: float
    largest: float
    others: tuple[float, ...]
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: npt.NDArray[np.float64], classes: Sequence[str] = ()) -> Self:
        """Look at labels in memory, shape (n_rows,); of a multiclass task they are positions of classes."""
        finite = labels[np.isfinite(labels)]
        others = np.unique(finite[(finite != 0) & (finite != 1)][:10_000])[:SHOWN]
        ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        missing = _missing(classes, np.unique(finite)) if classes else ()
        return cls(len(labels), len(labels) - len(finite), *ends, tuple(others.tolist()), missing)


def labels_of(store: ModelStore, model: Model, snapshot: Snapshot) -> Labels:
    """Look at all labels of a snapshot without holding them, and without asking which rows they are of."""
    with labels_known(store, model, snapshot, ()) as connection:
        whole = (
            "count(*), count(*) FILTER (NOT isfinite(label)), min(label) FILTER (isfinite(label)), max(label) FILTER "
        )
        ((rows, bad, least, largest),) = connection.execute(f"SELECT {whole} (isfinite(label)) FROM labels").fetchall()
        query = f"SELECT DISTINCT label FROM labels WHERE isfinite(label) AND label NOT IN (0, 1) LIMIT {SHOWN}"
        others = sorted(value for (value,) in connection.execute(query).fetchall())
        missing: tuple[str, ...] = ()
        if classes := snapshot.classes:
            seen = connection.execute("SELECT DISTINCT label FROM labels").fetchall()
            missing = _missing(classes, [value for (value,) in seen])
    return Labels(rows, bad, least or 0.0, largest or 0.0, tuple(others), missing)


def _missing(classes: Sequence[str], seen: Iterable[float]) -> tuple[str, ...]:
    numbers = {int(value) for value in seen}
    return tuple(name for number, name in enumerate(classes) if number not in numbers)


def check_labels(model: Model, partition: str, labels: Labels) -> None:
    """Refuse labels that nothing can be learned from.

    Raises:
        TrainingError: No rows, a value that is not finite, one class, a class that no row has, other values than 0
            and 1, or a constant target.
    """
    where = f"model {model.name}, training rows up to {partition}"
    if not labels.rows:
        raise TrainingError(
            "there are no training rows",
            where=where,
            expected="labelled rows older than the gate rows and the embargo",
            found="0 rows",
            next_step="wait for more outcomes, or lower evaluate.holdout_days or "
            + ("have split of model.py choose fewer" if is_own_split(model) else "train.validation_days"),
        )
    if labels.not_finite:
        raise TrainingError(
            "labels are not finite",
            where=where,
            expected="finite numbers",
            found=f"{labels.not_finite} of {labels.rows} are NaN or infinite",
            next_step="correct label.sql, or leave these rows out with label.where in model.yaml",
        )
    hide = bool(model.sensitive.masked.get(model.outcome_source))  # the label may be made of what nobody is shown
    if model.task == "binary" and labels.others:
        raise TrainingError(
            "labels of a binary model are not 0 and 1",
            where=where,
            expected="0 or 1",
            found="other values" if hide else ", ".join(f"{value:g}" for value in labels.others),
            next_step="correct label.sql in model.yaml",
        )
    if labels.missing:
        raise TrainingError(
            "a class is not among the training rows",
            where=where,
            expected="rows of each of label.classes",
            found=f"none of {', '.join(labels.missing[:SHOWN])} in {labels.rows} rows",
            next_step="wait for outcomes of it, train on more partitions (train.window), or take it out of "
            "label.classes and label.sql",
        )
    if labels.least == labels.largest:
        raise TrainingError(
            "all labels are the same",
            where=where,
            expected="two classes" if model.task == "binary" else "a target that varies",
            found=f"only {MASK if hide else format(labels.least, 'g')} in {labels.rows} rows",
            next_step="wait for a partition that has the other class, or correct label.sql",
        )


def check_count(model: Model, partition: str, rows: int) -> None:
    """Refuse too few rows; asked before what is wrong with their labels, of which one row has one.

    Raises:
        TrainingError: There are some, and not enough.
    """
    if 0 < rows < model.train.min_rows:
        raise TrainingError(
            "there are too few training rows",
            where=f"model {model.name}, training rows up to {partition}",
            expected=f"at least {model.train.min_rows}",
            found=rows,
            next_step="wait for more outcomes, or lower train.min_rows in model.yaml",
        )


def check_rows(model: Model, snapshot: Snapshot, rows: TrainingRows) -> None:
    """Refuse rows that have become old, and validation rows that could not say when to stop.

    Raises:
        TrainingError: They are one of these.
    """
    where = f"model {model.name}, training rows up to {snapshot.partition}"
    until = date.fromisoformat(snapshot.train_until)
    if rows.newest is not None and (until - rows.newest).days > model.train.fresh_days:
        raise TrainingError(
            "the training rows are old: outcomes have stopped coming",
            where=where,
            expected=f"labelled rows of the {model.train.fresh_days} days before {until}",
            found=f"none since {rows.newest}",
            next_step="look at the deliveries of the outcomes, or raise train.fresh_days in model.yaml",
        )
    _check_validation(model, rows)


def _check_validation(model: Model, chosen: TrainingRows) -> None:
    if model.train.early_stopping is None:
        return
    labels = Labels.of(np.concatenate([np.empty(0), *(each.labels for each in chosen.validation)]))
    if not labels.rows or labels.least == labels.largest:
        rows, more = f"the newest {model.train.validation_days} days of the training rows", "train.validation_days"
        if is_own_split(model):
            rows, more = "split of model.py", "what it chooses"
        raise TrainingError(
            "the validation rows cannot say when to stop",
            where=f"model {model.name}, {rows}",
            expected="labelled rows, not all with the same label",
            found=f"{labels.rows} rows" + (", all with one label" if labels.rows else ""),
            next_step=f"raise {more}, or leave out train.early_stopping and train.search",
        )
