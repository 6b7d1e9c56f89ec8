"""Look for leaks in a table: every test once, the surest first, each on the columns not named yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from incumbent.leaks.after import after
from incumbent.leaks.association import fold_codes, strength
from incumbent.leaks.columns import Column, Floats, label_values, read_columns
from incumbent.leaks.copies import copies
from incumbent.leaks.finding import ROW_ORDER, Finding, LeakReport
from incumbent.leaks.given import given
from incumbent.leaks.independent import independent
from incumbent.leaks.own_label import own_labels
from incumbent.leaks.serial import row_order, serials
from incumbent.leaks.sheet import ALPHA, MOST_CLASSES, Rows, Sheet
from incumbent.leaks.twins import twins
from incumbent.leaks.windows import windows

MOST_ROWS = 10_000
MOST_CELLS = 10_000_000
LEAST_SAMPLE = 2000
LEAST_ROWS = 50
LEAST_OF_A_CLASS = 10
TESTS: tuple[Callable[[Sheet], Iterable[Finding]], ...] = (
    copies,
    serials,
    own_labels,
    windows,
    twins,
    independent,
)


def find_leaks(
    rows: pa.Table,
    label: str,
    task: str,
    *,
    features: Sequence[str] | None = None,
    keys: Sequence[str] = (),
    time: str | None = None,
    ordered: bool = True,
    seed: int = 7,
) -> LeakReport:
    """Return the columns that know the label in a way that no honest column does.

    Rows without a label are evidence too: what is empty there is known only after the outcome. Of several classes each
    of the largest is looked at by itself, against all others: their numbers are names, and no quantity.

    Args:
        rows: The table, labelled rows and others.
        label: Name of the column that is predicted; null where the outcome is not known.
        task: `binary`, `multiclass` or `regression`.
        features: Columns to judge; all but the label and the time if None.
        keys: Columns that identify a row: judged as the others are, and named if their order tells the label.
        time: Column that orders the rows in time; it is not judged itself.
        ordered: Whether the order of the rows means anything; False if the caller sorted them.
        seed: Seed of samples and folds; the same rows and seed give the same report.

    Raises:
        ConfigError: The label is missing or does not fit the task.
    """
    truth = label_values(rows, label, task)
    names = [name for name in (rows.column_names if features is None else features) if name not in (label, time)]
    names = list(dict.fromkeys([*names, *(key for key in keys if key != time)]))
    columns, not_judged = read_columns(rows, names)
    labelled = np.isfinite(truth)
    if few := _too_few(truth[labelled], task):
        return LeakReport((), rows.num_rows, int(labelled.sum()), 0, 0, {**not_judged, "": few})
    findings = list(after(columns, labelled, ALPHA / (8 * max(len(columns), 1))))
    sheets = list(_sheets(columns, truth, task, labelled, _moments(rows, time), seed))
    for sheet in sheets:
        if ordered and ROW_ORDER not in (finding.column for finding in findings):
            findings += row_order(sheet)
        for test in TESTS:
            findings += _each_once(test(sheet.without(finding.column for finding in findings)))
    findings += given(sheets[0].without(finding.column for finding in findings))  # of all classes at once
    sampled, judged = max(int(sheet.sample.size) for sheet in sheets), len(columns)
    return LeakReport(tuple(findings), rows.num_rows, int(labelled.sum()), sampled, judged, not_judged)


def _too_few(label: Floats, task: str) -> str:
    if label.size < LEAST_ROWS:
        return f"too few rows to say: {label.size} with a label of the {LEAST_ROWS} needed"
    if task == "multiclass":
        second = int(np.sort(np.r_[0, np.unique(label, return_counts=True)[1]])[-2])
        lacks = f"too few rows to say: {second} of the second largest class of the {LEAST_OF_A_CLASS} needed"
        return lacks if second < LEAST_OF_A_CLASS else ""
    if task == "regression":
        return "" if np.unique(label).size > 2 else "the label has one or two values only: the task may be binary"
    fewest = int(min(label.sum(), label.size - label.sum()))
    if fewest < LEAST_OF_A_CLASS:
        return f"too few rows to say: {fewest} of the rarer class of the {LEAST_OF_A_CLASS} needed"
    return ""


def _sheets(
    columns: Sequence[Column], truth: Floats, task: str, labelled: np.ndarray, moments: Floats | None, seed: int
) -> Iterator[Sheet]:
    """Yield what the tests look at: one sheet; of several classes one for each, and an error rate that knows of all."""
    at = np.nonzero(labelled)[0]
    known = tuple(column if at.size == truth.size else column.take(at) for column in columns)
    order = None if moments is None else np.argsort(moments[at], kind="stable")
    if task != "multiclass":
        yield _sheet(known, truth[at], task, order, seed)
        return
    classes, counts = np.unique(truth[at], return_counts=True)
    largest = [number for number in np.argsort(-counts, kind="stable") if counts[number] >= LEAST_OF_A_CLASS]
    looks = largest[:MOST_CLASSES]
    for number in looks:
        one = _sheet(known, (truth[at] == classes[number]).astype(np.float64), "binary", order, seed)
        yield replace(one, classes=truth[at], judged=one.judged * len(looks))


def _sheet(columns: tuple[Column, ...], label: Floats, task: str, time_order: Rows | None, seed: int) -> Sheet:
    sample = _sample(label, task, max(LEAST_SAMPLE, min(MOST_ROWS, MOST_CELLS // max(len(columns), 1))), seed)
    folds = fold_codes(label[sample], task, seed)
    return Sheet(
        columns=columns,
        label=label,
        task=task,
        sample=sample,
        time_order=time_order,
        seed=seed,
        judged=len(columns),
        strength={column.name: strength(column.take(sample), label[sample], task, folds) for column in columns},
    )


def _sample(label: Floats, task: str, size: int, seed: int) -> Rows:
    """Return rows to look at: all, or so many; a tenth of them of the rarer class, if there are."""
    if label.size <= size:
        return np.arange(label.size)
    rng = np.random.default_rng(seed)
    if task != "binary":
        return np.sort(rng.choice(label.size, size, replace=False))
    rare = label > 0.5 if label.mean() <= 0.5 else label < 0.5
    rows, others = np.nonzero(rare)[0], np.nonzero(~rare)[0]
    wanted = max(round(size * rows.size / label.size), min(rows.size, size // 10))
    return np.sort(np.r_[rng.choice(rows, wanted, replace=False), rng.choice(others, size - wanted, replace=False)])


def _moments(rows: pa.Table, time: str | None) -> Floats | None:
    if time is None:
        return None
    found, _ = read_columns(rows, [time])
    return found[0].values if found else None


def _each_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    seen: set[str] = set()
    for finding in findings:
        if finding.column not in seen:
            seen.add(finding.column)
            yield finding
