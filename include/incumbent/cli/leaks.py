"""`incumbent leaks FILE --target COLUMN`: needs no service and no store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO

if TYPE_CHECKING:
    from incumbent.alone.leaks import Leaks
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
    from incumbent.alone.leaks import leaks as find

    found = find(
        arguments.file, target=arguments.target, task=arguments.task, time=arguments.time, key=arguments.key,
        test=arguments.test, ignore=arguments.ignore, sensitive=arguments.sensitive, seed=arguments.seed,
    )  # fmt: skip
    if arguments.json:
        print(json.dumps(found.to_json()))
    else:
        _print(found)
    return FINE if found.passed else VERDICT_NO


def _print(found: Leaks) -> None:
    report = found.report
    for finding in report.findings:
        print(f"leak: {finding.sentence}\n  where: {found.file}: {finding.column} (test: {finding.test})")
        print(f"  expected: {finding.expected}\n  found: {finding.found}\n  next: {finding.next_step}")
    if found.overlap is not None:
        _print_overlap(found.overlap)
    sampled = f"; the statistical tests looked at {report.sampled}" if 0 < report.sampled < report.labelled else ""
    named = f"{len(report.named)} of {report.columns} columns named"
    print(f"{named} ({found.task}; {report.labelled} labelled rows{sampled})")
    for name, why in report.not_judged.items():
        print(f"not judged: {name}: {why}" if name else why)
    print(_next(report, found.overlap))


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
