"""`incumbent snapshot show | diff`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import BROKEN, FINE, VERDICT_NO
from incumbent.cli.stored import opened
from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.records import Snapshot
    from incumbent.snapshot.diff import Difference
    from incumbent.snapshot.show import File, Use
    from incumbent.store import ModelStore

BROKEN_STATES = ("missing", "changed")


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model folder")
    parser.add_argument("id", nargs="?", help="snapshot, version or retrain request; or use --partition")
    parser.add_argument("--partition", help="compose the snapshot of a window that ends here; nothing is recorded")
    parser.add_argument("--known-at", metavar="MOMENT", help="with --partition: what came later is not seen")
    parser.add_argument("--json", action="store_true", help="print the snapshot as JSON")


def show(arguments: argparse.Namespace) -> int:
    """Print a training set; the verdict is no when it cannot be had again, because rows were taken away on purpose."""
    from incumbent.snapshot.show import VERIFIED, files, uses

    if (arguments.id is None) == (arguments.partition is None) or (arguments.known_at and arguments.id):
        raise ConfigError(
            "one snapshot is shown",
            where="incumbent snapshot show",
            expected="an id, or --partition with or without --known-at",
            found=" ".join(filter(None, (arguments.id, arguments.partition, arguments.known_at))) or "neither",
            next_step="incumbent snapshot show --help",
        )
    store = Settings.from_env(os.environ).open_store().model(arguments.model)
    snapshot = _find(store, arguments)
    contents, trainings = files(store, snapshot), uses(store, snapshot)
    gone = [file for file in contents if file.state != VERIFIED]
    if arguments.json:
        plain = {"id": snapshot.id, **asdict(snapshot), "files": [asdict(file) for file in contents]}
        plain |= {"uses": [asdict(use) for use in trainings], "can_be_rebuilt": not gone}
        print(json.dumps(plain))
    else:
        _print(snapshot, contents, trainings)
        print(_verdict(gone))
        print(f"Next: {_next(gone)}")
    if any(file.state in BROKEN_STATES for file in gone):
        return BROKEN
    return VERDICT_NO if gone else FINE


def diff_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model folder")
    parser.add_argument("before", help="snapshot, version or retrain request")
    parser.add_argument("after", help="the same of the other one")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")


def diff(arguments: argparse.Namespace) -> int:
    """Print what differs between two training sets; the verdict is no when anything does."""
    from incumbent.snapshot.diff import diff as differences
    from incumbent.snapshot.show import find

    folder, store = opened(arguments.model)
    before, after = (find(store, given) for given in (arguments.before, arguments.after))
    found = differences(store, folder.model, before, after)
    words = _words(before, after)
    if arguments.json:
        print(json.dumps({"settings": words, "partitions": [asdict(each) for each in found]}))
        return VERDICT_NO if before.id != after.id else FINE
    for name, (old, new) in words.items():
        print(f"{name}: {old} -> {new}")
    for each in found:
        _print_difference(each)
    if before.id == after.id:
        print(f"the same snapshot: {before.id}")
    print(f"Next: incumbent snapshot show {arguments.model} {after.id[:16]}")
    return VERDICT_NO if before.id != after.id else FINE


def _find(store: ModelStore, arguments: argparse.Namespace) -> Snapshot:
    from incumbent.partitions import moment_of
    from incumbent.snapshot.show import find
    from incumbent.snapshot.take import compose
    from incumbent.validate import contract_digests

    if arguments.id is not None:
        return find(store, arguments.id)
    folder = load_model(Settings.from_env(os.environ).models / arguments.model)
    known_at = moment_of(arguments.known_at) if arguments.known_at else None
    contracts = contract_digests(folder.contract_path, folder.model)
    return compose(store, folder.model, folder.definition, arguments.partition, contracts, known_at)


def _print(snapshot: Snapshot, contents: list[File], trainings: list[Use]) -> None:
    print(f"snapshot {snapshot.id}\n  definition {snapshot.definition}")
    print(f"  training rows before {snapshot.train_until}; gate rows {snapshot.gate_from} to {snapshot.gate_until}")
    for source, digest in snapshot.contracts.items():
        print(f"  contract of {source}: {digest[:16]}")
    for file in contents:
        print(f"  {file.role:<8} {file.partition:<12} {file.rows:>10} rows  {file.digest[:16]}  {file.state}")
    for use in trainings:
        seats = ", ".join(f"generation {number}" for number in use.generations) or "no generation"
        print(f"  used by {use.request}: version {use.version[:16]}, {seats}")
    if not trainings:
        print("  no training has used it")


def _verdict(gone: list[File]) -> str:
    if not gone:
        return "it can be rebuilt: every file is there and verified"
    states = sorted({file.state for file in gone})
    return f"it cannot be rebuilt: {len(gone)} files are gone ({', '.join(states)})"


def _next(gone: list[File]) -> str:
    if any(file.state in BROKEN_STATES for file in gone):
        return "incumbent store check"
    return "request a training for a new one" if gone else "incumbent doctor"


def _words(before: Snapshot, after: Snapshot) -> dict[str, tuple[str, str]]:
    """Return what differs beside the data."""
    names = ("definition", "contracts", "label", "train_until", "gate_from", "gate_until")
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: (str(old), str(new)) for name, (old, new) in pairs.items() if old != new}


def _print_difference(found: Difference) -> None:
    head = f"{found.role:<8} {found.partition:<12} {found.change:<8} {found.rows[0]} -> {found.rows[1]} rows"
    if found.change != "changed":
        print(head)
        return
    print(f"{head}: {found.added} added, {found.removed} removed, {found.changed} changed")
    if found.columns:
        print("           " + ", ".join(f"{name} {count}" for name, count in found.columns.items()))
    if found.only:
        print(f"           only in one of them: {', '.join(found.only)}")
