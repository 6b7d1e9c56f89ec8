"""Two predictions of each row as numbers, beside what came true, and the task that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.alone.matched import LEFT, RIGHT, Asked, holder_of, matched
from incumbent.alone.table import Given, plain
from incumbent.errors import BatchError, ConfigError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SCORES = ("score", "prediction", "probability")  # looked for in this order; of several classes before `_CLASS`
NOT_SURE = 1e-3  # by which probabilities of all classes may miss their sum of 1
MOST_CLASSES = 100
POSITIVE = {"yes": "no", "y": "n", "true": "false", "t": "f", "1": "0"}  # texts of which nobody doubts which one is 1


@dataclass(frozen=True)
class Predictions:
    """The labelled rows that both have predicted.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        labels: Shape (n_rows,); of several classes their positions.
        a, b: Predictions, shape (n_rows,), or (n_rows, n_classes).
        names: Score columns of A and of B.
        classes: Of a multiclass task.
        clusters: Code of each row's cluster; None for independent rows.
        slices: Column to its value in each row, as text.
        unlabelled: Rows without a label, which are not among these.
    """

    task: str
    labels: Floats
    a: Floats
    b: Floats
    names: tuple[str, str]
    classes: tuple[str, ...] = ()
    clusters: Codes | None = None
    slices: Mapping[str, pa.Array] = field(default_factory=dict)
    unlabelled: int = 0


def side_by_side(a: Given, b: Given | None, asked: Asked) -> Predictions:
    """Return the labelled rows of two files, or of one that has both predictions.

    Raises:
        ConfigError: A column is missing, or the task cannot be told.
        BatchError: The rows do not fit together, or nothing can be compared on them.
    """
    sides = (a, a if b is None else b)
    for side in sides:
        side.need(asked.key)
    labels = _labels_of(sides, asked)
    task = asked.task or _task(labels, sides, asked)
    classes = _classes(labels, asked) if task == "multiclass" else ()
    names = (_score(sides[0], asked, 0, classes), _score(sides[1], asked, 1, classes))
    if b is None and names[0] == names[1]:
        raise ConfigError(
            "one file needs two score columns",
            where=a.name,
            expected="the column of A and that of B, or a second file",
            found=names[0],
            next_step="name both: --score COLUMN --score-b COLUMN",
        )
    rows = matched(sides, asked, names, classes, is_one=b is None)
    known = rows.filter(is_known(rows["#label"]))
    if not known.num_rows:
        raise _nothing(sides, asked, "no row has a label", "labels", "wait for the outcomes, or correct --label")
    truth = _truth(known["#label"], task, classes, sides, asked)
    marks = zip((LEFT, RIGHT), sides, strict=True)
    a_scores, b_scores = (_scores(known, mark, task, classes, side) for mark, side in marks)
    return Predictions(
        task=task,
        labels=truth,
        a=a_scores,
        b=b_scores,
        names=names,
        classes=classes,
        clusters=_codes([known[f"#cluster {name}"] for name in asked.cluster]),
        slices={name: known[f"#slice {name}"].cast(pa.string()).combine_chunks() for name in asked.slices},
        unlabelled=rows.num_rows - known.num_rows,
    )


def _labels_of(sides: tuple[Given, Given], asked: Asked) -> pa.ChunkedArray:
    holder = holder_of(sides, asked.label)
    labels = plain(holder.rows.select([asked.label]))[0]
    return labels.filter(is_known(labels))


def _task(labels: pa.ChunkedArray, sides: tuple[Given, Given], asked: Asked) -> str:
    """Return the task that labels and score columns tell."""
    values = pc.unique(labels)
    if _is_number(values.type):
        return "binary" if set(values.to_pylist()) <= {0, 1} else "regression"
    names = values.to_pylist() if pa.types.is_string(values.type) and len(values) <= MOST_CLASSES else []
    if any(_class_columns(sides[0], prefix, names) for prefix in (asked.scores[0], *SCORES) if prefix):
        return "multiclass"
    if pa.types.is_string(values.type) and (len(values) <= 2 or _positive(values) is not None):
        return "binary"
    raise ConfigError(
        "the task cannot be told from the labels",
        where=f"{holder_of(sides, asked.label).name}: {asked.label}",
        expected="0 and 1, numbers, or the names of classes with a score column for each, such as score_late",
        found=f"{len(values)} different values of type {values.type}",
        next_step="write the label as 0 and 1 or as numbers, or write a score column for each class",
    )


def _positive(values: pa.Array) -> str | None:
    """Return which of two texts is class 1, in small letters; None where somebody has to say so."""
    found = {str(value).strip().lower() for value in values.to_pylist()}
    return next((yes for yes, no in POSITIVE.items() if found <= {yes, no}), None)


def _of_texts(labels: pa.ChunkedArray, sides: tuple[Given, Given], asked: Asked) -> pa.ChunkedArray:
    """Return labels that say yes and no as 1 and 0."""
    values = pc.unique(labels)
    positive = _positive(values)
    if positive is None:
        shown = ", ".join(str(value) for value in values.to_pylist()[:5])
        raise BatchError(
            "nothing says which label is 1",
            where=f"{holder_of(sides, asked.label).name}: {asked.label}",
            expected="0 and 1, or " + ", ".join(f"{no} and {yes}" for yes, no in POSITIVE.items() if yes.isalpha()),
            found=f"{len(values)} different texts" if asked.label in asked.sensitive else shown,
            next_step="write the label as 1 where that is so which the score says is likely, and as 0 elsewhere",
        )
    return pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(labels)), positive)


def _classes(labels: pa.ChunkedArray, asked: Asked) -> tuple[str, ...]:
    return tuple(sorted(str(value) for value in pc.unique(labels).to_pylist()))


def is_known(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return where a label is there; some write NaN for what is not."""
    if pa.types.is_floating(labels.type):
        return pc.fill_null(pc.invert(pc.is_nan(labels)), False)
    return pc.is_valid(labels)


def _class_columns(side: Given, prefix: str, classes: Sequence[object]) -> bool:
    return bool(classes) and all(f"{prefix}_{name}" in side.rows.column_names for name in classes)


def _score(side: Given, asked: Asked, at: int, classes: tuple[str, ...]) -> str:
    """Return the score column of a side, or what its columns of all classes begin with."""
    named = asked.scores[at] or asked.scores[0]
    if named is not None:
        side.need([f"{named}_{name}" for name in classes] or [named])
        return named
    columns = side.rows.column_names
    found = [each for each in SCORES if (_class_columns(side, each, classes) if classes else each in columns)]
    if not found:
        wanted = [f"{each}_{classes[0]}" for each in SCORES] if classes else SCORES
        raise ConfigError(
            "no score column",
            where=side.name,
            expected="one of " + ", ".join(wanted),
            found=", ".join(columns[:20]),
            next_step="name it with --score" + ("" if at == 0 else " or --score-b"),
        )
    return found[0]


def _truth(
    labels: pa.ChunkedArray, task: str, classes: tuple[str, ...], sides: tuple[Given, Given], asked: Asked
) -> Floats:
    where = f"{holder_of(sides, asked.label).name}: {asked.label}"
    if task == "multiclass":
        values = pc.index_in(labels.cast(pa.string()), value_set=pa.array(classes))
    else:
        values = labels
        if task == "binary" and pa.types.is_string(labels.type):
            values = labels = _of_texts(labels, sides, asked)
        if not _is_number(labels.type):
            raise _not_numbers(where, labels.type, "labels")
    truth = np.asarray(values.cast(pa.float64()), dtype=np.float64)
    if bad := int((~np.isfinite(truth)).sum()):
        raise _not_finite(where, bad, truth.size, "label")
    if task == "binary" and not np.isin(truth, (0.0, 1.0)).all():
        raise BatchError(
            "labels are neither 0 nor 1",
            where=where,
            expected="0 and 1",
            found=", ".join(f"{value:g}" for value in np.unique(truth)[:5]),
            next_step="write them as 0 and 1, or say --task regression",
        )
    if task != "regression" and np.unique(truth).size < 2:
        raise _nothing(sides, asked, "all labels are the same", "two classes", "take rows of a longer time")
    return truth


def _scores(rows: pa.Table, mark: str, task: str, classes: tuple[str, ...], side: Given) -> Floats:
    names = [f"{mark} {name}" for name in classes] or [mark]
    for name in names:
        if not _is_number(rows[name].type):
            raise _not_numbers(side.name, rows[name].type, "scores")
    columns = [np.asarray(rows[name].cast(pa.float64(), safe=False), dtype=np.float64) for name in names]
    found = np.column_stack(columns) if classes else columns[0]
    bad = ~np.isfinite(found.reshape(len(found), -1)).all(axis=1)
    if bad.any():
        raise _not_finite(side.name, int(bad.sum()), len(found), "score")
    if task == "multiclass" and (found.min() < 0 or np.abs(found.sum(axis=1) - 1).max() > NOT_SURE):
        raise BatchError(
            "the scores of the classes are no probabilities",
            where=side.name,
            expected="a probability for each class; those of a row sum to 1",
            found=f"sums from {found.sum(axis=1).min():.4g} to {found.sum(axis=1).max():.4g}",
            next_step="write probabilities, also of classes that did not occur",
        )
    return found


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)) or bool(
        pa.types.is_decimal(kind)
    )


def _codes(columns: Sequence[pa.ChunkedArray]) -> Codes | None:
    """Return one code for each different combination; a missing value is a value of its own."""
    if not columns:
        return None
    code: Codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        found = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
        own = np.asarray(found.indices, dtype=np.int64)
        code = np.unique(code * (int(own.max()) + 1) + own, return_inverse=True)[1].astype(np.int64)
    return code


def _nothing(sides: tuple[Given, Given], asked: Asked, what: str, expected: str, next_step: str) -> BatchError:
    where = f"{holder_of(sides, asked.label).name}: {asked.label}"
    return BatchError(what, where=where, expected=expected, found="none, or one value", next_step=next_step)


def _not_numbers(where: str, kind: pa.DataType, what: str) -> BatchError:
    return BatchError(
        f"the {what} are no numbers",
        where=where,
        expected="numbers",
        found=str(kind),
        next_step=f"write the {what} as numbers, or name another column",
    )


def _not_finite(where: str, bad: int, rows: int, what: str) -> BatchError:
    return BatchError(
        f"a {what} is not a finite number",
        where=where,
        expected=f"a finite number in each of {rows} labelled rows",
        found=f"{bad} missing, NaN or infinite",
        next_step=f"look at what makes the {what}s: a comparison without these rows would be one of other rows",
    )
