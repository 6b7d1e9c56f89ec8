"""`incumbent drift REFERENCE.parquet BATCH.parquet`: needs no service and no store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO

if TYPE_CHECKING:
    from incumbent.alone.drift import Drift

NEXT = {
    "no drift": "nothing; docs/alone.md says what this cannot see",
    "bad data": "ask who sends the batch; a model must not learn from it",
    "drift": "look at the columns that moved; with outcomes, `incumbent compare` says what it costs",
    "not enough data": "come back with more rows",
}


def drift_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("reference", type=Path, help="what is known to be good: .parquet or .csv")
    parser.add_argument("batch", type=Path, help="what is judged")
    parser.add_argument("--time", metavar="COLUMN", help="orders the reference; the order of its rows if absent")
    parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="not judged; more than once")
    parser.add_argument("--score", metavar="COLUMN", help="predictions: count as much as all other columns together")
    parser.add_argument(
        "--importance", type=Path, metavar="FILE", help="JSON of column to its share; all alike if absent"
    )
    parser.add_argument("--target", metavar="COLUMN", help="a small model of it says how much each column counts")
    parser.add_argument(
        "--sensitive", action="append", default=[], metavar="COLUMN", help="its values are not printed; more than once"
    )
    parser.add_argument("--alpha", type=float, default=0.01, help="error rate of all shapes together (0.01)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def drift(arguments: argparse.Namespace) -> int:
    """Say whether a table has drifted; the verdict is no if it has, if it is broken, or if it is too small to say."""
    from incumbent.alone.drift import drift as ask

    found = ask(
        arguments.reference, arguments.batch, time=arguments.time, ignore=arguments.ignore, score=arguments.score,
        importance=arguments.importance, target=arguments.target, sensitive=arguments.sensitive, alpha=arguments.alpha,
    )  # fmt: skip
    if arguments.json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found)
    return FINE if found.passed else VERDICT_NO


def _print(found: Drift) -> None:
    print(found.sentence)
    for fault in found.faults:
        print(f"  fault: {fault['sentence']} (test: {fault['test']})")
    for each in found.moved:
        says = f"{each['says']}, " if each["says"] else ""
        print(
            f"  moved: {each['column']}: {says}effect {each['effect']:.3f}, p {each['p']:.2g} below {each['alpha']:.2g}"
        )
    for note in found.notes:
        print(f"note: {note}")
    print(f"{found.rows:,} rows against {found.reference_rows:,} in {found.parts} parts")
    print(f"Next: {NEXT[found.verdict]}")
