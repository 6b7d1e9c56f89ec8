"""`incumbent erase`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from incumbent.cli.main import FINE
from incumbent.cli.stored import opened


def erase_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model folder")
    parser.add_argument(
        "--key", action="append", required=True, metavar="COLUMN=VALUE", help="key column and value; more than once"
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; is recorded, so it names no person")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def erase(arguments: argparse.Namespace) -> int:
    """Remove the rows of a key from every table, in every version; killed, the same call finishes it."""
    from incumbent.erase import erase as take_out

    folder, store = opened(arguments.model)
    given, is_trial = arguments.key, arguments.dry_run
    done = take_out(store, folder.model, folder.contract_path, given, arguments.reason, is_trial=is_trial)
    if arguments.json:
        print(json.dumps(asdict(done)))
        return FINE
    for table, rows in done.rows.items():
        print(f"{table:<32} {rows:>10} rows")
    if not done.rows:
        print("no table holds this key now")
    verb = "would be removed" if arguments.dry_run else "are removed"
    print(f"{done.contents} data files and {done.files} kept files {verb}")
    if arguments.dry_run and not (done.rows or done.contents or done.files):
        print("Next: look up the key; nothing that was delivered has it")
    elif arguments.dry_run:
        print("Next: the same without --dry-run")
    else:
        print(f"erasure {done.id}")
        print("Next: take the rows out of the drop folder, backups and MLflow too; docs/data-history.md says what")
    return FINE
