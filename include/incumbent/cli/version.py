"""`incumbent version why | rebuild`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import BROKEN, FINE, VERDICT_NO
from incumbent.cli.stored import opened
from incumbent.embedded.settings import Settings

if TYPE_CHECKING:
    from incumbent.provenance.version import VersionWhy
    from incumbent.records import GateReport, Rebuild
    from incumbent.train.progress import Progress

SCHEMA = "incumbent.version_why/1"
REBUILD_SCHEMA = "incumbent.version_rebuild/1"


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


def rebuild_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    why_arguments(parser)


def rebuild(arguments: argparse.Namespace) -> int:
    """Fit a version again; the verdict is no where something is missing for it, and a promise broken if it differs."""
    from incumbent.provenance.rebuild import DIFFERS, IMPOSSIBLE
    from incumbent.provenance.rebuild import rebuild as fit_again
    from incumbent.provenance.version import find

    folder, store = opened(arguments.model)
    version = find(store, arguments.version)
    found = fit_again(store, folder.model, version, Settings.from_env(os.environ), _tell)
    if arguments.json:
        print(json.dumps({**found.to_json(), "schema": REBUILD_SCHEMA}))
    else:
        print(*_outcome(found), sep="\n")
        print(f"Next: incumbent version why {arguments.model} {version.digest[:16]}")
    return {IMPOSSIBLE: VERDICT_NO, DIFFERS: BROKEN}.get(found.verdict, FINE)


def _tell(progress: Progress) -> None:
    print(progress.line(), file=sys.stderr)


def _outcome(found: Rebuild) -> Iterator[str]:
    from incumbent.provenance.rebuild import libraries

    yield f"version {found.version[:16]}: {found.verdict}"
    if found.rows:
        largest = "no number" if found.largest is None else f"{found.largest:.3g}"
        yield f"file {found.rebuilt[:16]}; largest difference of {found.rows} predictions on its gate days: {largest}"
    elif found.rebuilt:
        yield f"file {found.rebuilt[:16]}, byte for byte: no prediction can differ"
    if found.changed:
        yield libraries(found)
    yield from (f"  missing: {each}" for each in found.missing)
    yield from (f"  differs: {each}" for each in found.differs)


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
    for at, proof in found.rebuilds:
        told = "; ".join([proof.verdict, *proof.differs])
        yield f"fitted again with code {proof.code['incumbent']} on {at[:19].replace('T', ' ')} UTC: {told}"
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
