"""`incumbent leaks FILE --target COLUMN`: needs no service and no store."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.errors import BatchError, ConfigError
from incumbent.sensitive import MASK, quotable

if TYPE_CHECKING:
    import pyarrow as pa

    from incumbent.leaks import LeakReport, Overlap


def leaks_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path, help="a table: .csv or .parquet")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what is predicted; empty where not known")
    parser.add_argument(
        "--task",
        choices=("binary", "multiclass", "regression"),
        help="binary if the target has two values, multiclass if it has more and they are texts",
    )
    parser.add_argument("--time", metavar="COLUMN", help="orders the rows in time; is not judged itself")
    parser.add_argument("--key", action="append", default=[], metavar="COLUMN", help="identifies a row; more than once")
    parser.add_argument("--test", type=Path, metavar="FILE", help="a second table, which must share no key")
    parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="not judged; more than once")
    parser.add_argument(
        "--sensitive", action="append", default=[], metavar="COLUMN", help="its values are not printed; more than once"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of samples and folds (7)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def leaks(arguments: argparse.Namespace) -> int:
    """Name the columns that leak; the verdict is no if there is one, or if there are too few rows to say."""
    from incumbent.leaks import find_leaks, key_overlap

    rows = _read(arguments.file, arguments.sensitive)
    named = [
        arguments.target,
        *([arguments.time] if arguments.time else []),
        *arguments.key,
        *arguments.ignore,
        *arguments.sensitive,
    ]
    _check_columns(arguments.file, rows, named)
    if arguments.test and not arguments.key:
        raise ConfigError(
            "two tables need a key to be compared",
            where="--test",
            expected="--key COLUMN",
            found="none",
            next_step="name the columns that identify a row, or a customer",
        )
    task = arguments.task or _task(rows, arguments.target)
    features = [name for name in rows.column_names if name not in (*arguments.ignore, arguments.target)]
    report = find_leaks(
        rows, arguments.target, task, features=features, keys=arguments.key, time=arguments.time, seed=arguments.seed
    )
    overlap = None
    if arguments.test:
        overlap = key_overlap(rows, _read(arguments.test, arguments.sensitive), arguments.key, arguments.time)
        overlap = _masked(overlap, arguments.key, arguments.sensitive)
    if arguments.json:
        print(json.dumps(asdict(report) | {"task": task, "overlap": overlap and asdict(overlap)}))
    else:
        _print(arguments.file, report, task, overlap)
    clean = not report.findings and "" not in report.not_judged and (overlap is None or overlap.clean)
    return FINE if clean else VERDICT_NO


def _masked(overlap: Overlap, keys: Sequence[str], sensitive: Sequence[str]) -> Overlap:
    """Return what is found, without examples of keys that nobody is shown."""
    return replace(overlap, examples=(MASK,)) if overlap.examples and set(keys) & set(sensitive) else overlap


def _read(path: Path, sensitive: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    try:
        if path.suffix.lower() == ".csv":
            return csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
        if path.suffix.lower() in (".parquet", ".pq"):
            return parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise BatchError(
            "the table cannot be read",
            where=str(path),
            expected="a file in the format of its ending",
            found=quotable(error, bool(sensitive), 200),
            next_step="correct the path, or write the file again",
        ) from (None if sensitive else error)
    raise BatchError(
        "the table's format is not known",
        where=str(path),
        expected=".csv or .parquet",
        found=path.suffix or "no ending",
        next_step="write it as CSV or Parquet",
    )


def _check_columns(path: Path, rows: pa.Table, named: Sequence[str]) -> None:
    if missing := [name for name in named if name not in rows.column_names]:
        raise ConfigError(
            "a column is not in the table",
            where=f"{path}: {missing[0]}",
            expected="one of " + ", ".join(rows.column_names[:20]),
            found=missing[0],
            next_step="correct the name",
        )


def _task(rows: pa.Table, target: str) -> str:
    import pyarrow as pa

    known = rows[target].drop_null()
    if len(known.unique()) <= 2:
        return "binary"
    return "multiclass" if pa.types.is_string(known.type) or pa.types.is_large_string(known.type) else "regression"


def _print(path: Path, report: LeakReport, task: str, overlap: Overlap | None) -> None:
    for finding in report.findings:
        print(f"leak: {finding.sentence}\n  where: {path}: {finding.column} (test: {finding.test})")
        print(f"  expected: {finding.expected}\n  found: {finding.found}\n  next: {finding.next_step}")
    if overlap is not None:
        _print_overlap(overlap)
    sampled = f"; the statistical tests looked at {report.sampled}" if 0 < report.sampled < report.labelled else ""
    print(f"{len(report.named)} of {report.columns} columns named ({task}; {report.labelled} labelled rows{sampled})")
    for name, why in report.not_judged.items():
        print(f"not judged: {name}: {why}" if name else why)
    print(_next(report, overlap))


def _print_overlap(overlap: Overlap) -> None:
    if overlap.rows:
        print(
            f"overlap: {overlap.rows} test rows ({overlap.share:.1%}) have a key of the first table\n"
            f"  expected: none\n  found: {overlap.shared} of {overlap.test} keys: {'; '.join(overlap.examples)}\n"
            "  next: take them out of one side, or split by key"
        )
    if overlap.late_train:
        print(
            f"overlap: {overlap.late_train} rows of the first table are not older than the oldest test row\n"
            "  expected: none\n  next: split at one moment"
        )


def _next(report: LeakReport, overlap: Overlap | None) -> str:
    if report.named:
        return "Next: leave these columns out, or take their values as they were when the prediction is made"
    if overlap is not None and not overlap.clean:
        return "Next: split the rows again"
    if "" in report.not_judged:
        return "Next: come back with more rows"
    return "Next: `gates` in model.yaml asks the same of each candidate; docs/leaks.md says what cannot be seen"
