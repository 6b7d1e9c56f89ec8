"""`incumbent champion show`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import opened


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--as-of", metavar="DATE", help="at the end of a local day, or at a moment with its zone")
    parser.add_argument("--json", action="store_true", help="print the entry of the ledger as JSON")


def show(arguments: argparse.Namespace) -> int:
    """Print who holds the seat, or held it; the verdict is no if nobody did."""
    from incumbent.partitions import moment_or_day
    from incumbent.promote.ledger import champion_at
    from incumbent.records import GateReport, Promotion
    from incumbent.store import generation_name

    folder, store = opened(arguments.model)
    moment = moment_or_day(arguments.as_of, folder.model.timezone) if arguments.as_of else None
    entry = store.champion() if moment is None else champion_at(store, moment)
    if entry is None:
        first = store.records.names(Promotion.kind)[:1]
        written = [store.records.written(Promotion.kind, name) for name in first]
        since = "".join(f"; the first entry of the ledger is of {at:%Y-%m-%d %H:%M:%S} UTC" for at in written)
        print(json.dumps(None) if arguments.json else f"nobody {'held' if moment else 'holds'} the seat{since}")
        if not arguments.json:
            print(f"Next: {'incumbent champion show ' + arguments.model if first else 'incumbent doctor'}")
        return VERDICT_NO
    at = store.records.written(Promotion.kind, generation_name(entry.generation))
    report = store.records.get(GateReport, entry.gate_report)
    if arguments.json:
        print(json.dumps({**asdict(entry), "written": at.isoformat(), "sentence": report.sentence}))
        return FINE
    who = f", approved by {entry.approved_by}" if entry.approved_by else ""
    print(f"generation {entry.generation}, version {entry.version}")
    print(f"by {entry.action} on {at:%Y-%m-%d %H:%M:%S} UTC{who}: {entry.reason}")
    print(f"its gate report: {report.sentence}")
    print(f"Next: incumbent version why {arguments.model} {entry.generation}")
    return FINE
