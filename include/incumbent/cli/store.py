"""`incumbent store check`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict

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
