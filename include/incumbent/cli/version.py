"""`incumbent version why`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import BROKEN, FINE
from incumbent.cli.stored import opened

if TYPE_CHECKING:
    from incumbent.provenance.version import VersionWhy
    from incumbent.records import GateReport

SCHEMA = "incumbent.version_why/1"


def why_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("version", help="a generation, or the first digits of a version")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def why(arguments: argparse.Namespace) -> int:
    """Print what a version was made of, why it got the seat, gate by gate, and what followed."""
    from incumbent.provenance.version import find
    from incumbent.provenance.version import why as explain

    _, store = opened(arguments.model)
    found = explain(store, find(store, arguments.version))
    if arguments.json:
        print(json.dumps({"schema": SCHEMA, **asdict(found), "broken": [link.name for link in found.broken]}))
        return BROKEN if found.broken else FINE
    print(*_lines(found), sep="\n")
    next_step = (
        f"incumbent impact {arguments.model} --generation {found.seats[-1].entry.generation}"
        if found.seats
        else (f"incumbent champion show {arguments.model}")
    )
    print(f"Next: {'incumbent store check' if found.broken else next_step}")
    return BROKEN if found.broken else FINE


def _lines(found: VersionWhy) -> Iterator[str]:
    version = found.version
    yield f"version {version.digest}, fitted until {found.written[:19].replace('T', ' ')} UTC"
    yield f"params: {json.dumps(dict(version.params), sort_keys=True)}"
    yield f"code: {', '.join(f'{name} {value[:40]}' for name, value in sorted(version.code.items()))}"
    if version.base:
        kind = "the same trees with another intercept as" if version.recalibrated else "goes on from"
        yield f"{kind} version {version.base[:16]}"
    yield from _decided(found)
    for link in found.links:
        said = "; ".join(filter(None, (link.says, link.found)))
        yield f"  {link.state:<9} {link.name:<24} {link.digest[:16] or '-':<17} {said}"


def _decided(found: VersionWhy) -> Iterator[str]:
    for training in found.trainings:
        yield f"training {training.name}: {training.origin}, {training.launcher}, {training.layout or training.device}"
    for report in found.reports:
        yield from _gates(report)
    for seat in found.seats:
        entry = seat.entry
        who = f", approved by {entry.approved_by}" if entry.approved_by else ""
        at = seat.written[:19].replace("T", " ")
        yield f"generation {entry.generation} by {entry.action} on {at} UTC{who}: {entry.reason}"
        if seat.lost:
            yield f"  lost to a rollback: {seat.lost}"
    if not found.seats:
        yield "it never held the seat"
    if found.barred:
        yield f"barred: it lost generation {found.barred} and is not promoted again"
    for scored in found.scored:
        yield f"scored {scored.partition}: {scored.rows} rows, as generation {scored.generation}"
    for digest in found.followers:
        yield f"version {digest[:16]} goes on from it"


def _gates(report: GateReport) -> Iterator[str]:
    from incumbent.provenance.version import numbers

    against = f"generation {report.champion_generation}" if report.champion_generation else "no champion"
    yield f"gate report {report.id[:16]} of {report.request}, against {against}: {report.sentence}"
    words = {True: "passed", False: "failed", None: "open"}
    for gate in report.gates:
        said = "; ".join(filter(None, (numbers(gate), str(gate.get("sentence", "")))))
        yield f"  {words[gate['passed']]:<7} {gate.get('gate', ''):<16} {said}"
