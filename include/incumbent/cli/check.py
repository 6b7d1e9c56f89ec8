"""`incumbent check FILE --contract contract.yaml`: needs no service and no store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO

if TYPE_CHECKING:
    from incumbent.alone.check import Check


def check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path, help="a table: .parquet, .csv or .jsonl")
    parser.add_argument("--contract", type=Path, required=True, metavar="FILE", help="a contract.yaml")
    parser.add_argument("--source", metavar="NAME", help="which of its sources; not needed if there is one")
    parser.add_argument(
        "--no-expectations", action="store_true", help="leave out the contract's own Great Expectations"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def check(arguments: argparse.Namespace) -> int:
    """Say whether a file is what a contract says; the verdict is no if a rule that is no warning does not hold."""
    from incumbent.alone.check import check as ask

    found = ask(arguments.file, arguments.contract, source=arguments.source, expectations=not arguments.no_expectations)
    if arguments.json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found)
    return FINE if found.passed else VERDICT_NO


def _print(found: Check) -> None:
    from incumbent.alone.check import counted

    print(found.sentence)
    for each in found.broken:
        rows = "" if each["rows"] is None else f"{counted(each['rows'])}: "
        print(f"  {each['severity']}: {each['rule']}: {rows}{each['reason']}")
        for name in ("where", "expected", "found"):
            if each[name] and not each["examples"]:
                print(f"    {name}: {each[name]}")
        for example in each["examples"]:
            print(f"    row {example['row']}: {example['value']}")
    for note in found.notes:
        print(f"note: {note}")
    print(_next(found))


def _next(found: Check) -> str:
    if found.passed:
        return "Next: an ingest would take the table"
    if found.stopped:
        return "Next: ask the sender for a corrected file; an ingest would stop this one"
    return f"Next: an ingest would set {found.aside:,} of {found.rows:,} rows aside and take the others"
