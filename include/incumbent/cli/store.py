"""`incumbent store check | vacuum`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime

from incumbent.cli.main import BROKEN, FINE
from incumbent.embedded.settings import Settings


def check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print the violations as JSON")


def check(arguments: argparse.Namespace) -> int:
    """Walk the whole store and print every broken promise."""
    from incumbent.store.check import check as find_violations

    store = Settings.from_env(os.environ).open_store()
    root, models = store.blobs.url, store.models()
    violations = find_violations(store)
    if arguments.json:
        print(json.dumps([asdict(violation) for violation in violations]))
        return BROKEN if violations else FINE
    for violation in violations:
        print(f"broken: {violation.promise}\n  where: {violation.where}\n  found: {violation.found}")
    if violations:
        print(f"{len(violations)} broken promises in {root}")
        print("Next: restore the named files from a backup, or clear the runs that wrote them")
        return BROKEN
    print(f"every promise holds in {root}" if models else f"no store yet at {root}")
    print("Next: incumbent doctor")
    return FINE


def vacuum_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--keep-days", type=float, required=True, metavar="N", help="days for which everything is kept")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print what goes as JSON")


def vacuum(arguments: argparse.Namespace) -> int:
    """Remove data files that nothing needs; each is written down before it goes."""
    from incumbent.store.vacuum import vacuum as take_away

    store = Settings.from_env(os.environ).open_store().model(arguments.model)
    removed = take_away(store, arguments.keep_days, datetime.now(UTC), is_trial=arguments.dry_run)
    if arguments.json:
        print(json.dumps([asdict(removal) for removal in removed]))
        return FINE
    for removal in removed:
        print(f"{removal.table:<32} {removal.partition:<12} {removal.rows:>10} rows  {removal.digest[:16]}")
    print(f"{len(removed)} data files {'would be removed' if arguments.dry_run else 'are removed'}")
    print("Next: incumbent store check")
    return FINE
