"""`incumbent contract diff`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import opened

if TYPE_CHECKING:
    from incumbent.store import ModelStore
    from incumbent.validate.contract_diff import Change, Effect

LAST = 12


def diff_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model folder")
    parser.add_argument("--source", help="one source; all if absent")
    parser.add_argument(
        "--last", type=int, default=LAST, metavar="N", help=f"past partitions to judge (default {LAST})"
    )
    parser.add_argument("--json", action="store_true", help="print changes and effects as JSON")


def diff(arguments: argparse.Namespace) -> int:
    """Print what a contract says in another way than the one in force, and what it would have done to past deliveries.

    The verdict is no when a row that was accepted would be set aside, or a delivery stopped.
    """
    from incumbent.validate import load_contract
    from incumbent.validate.contract import source_contract

    folder, store = opened(arguments.model)
    contract = load_contract(folder.contract_path)
    found = {
        source: _compare(store, folder.model, source, source_contract(contract, folder.model, source), arguments.last)
        for source in ([arguments.source] if arguments.source else folder.model.sources)
    }
    harm = any(effect.rejected or effect.stops for _, effects in found.values() for effect in effects)
    if arguments.json:
        plain = {
            source: {
                "changes": [asdict(change) for change in changes],
                "effects": [asdict(effect) for effect in effects],
            }
            for source, (changes, effects) in found.items()
        }
        print(json.dumps(plain))
        return VERDICT_NO if harm else FINE
    for source, (changes, effects) in found.items():
        _print(source, changes, effects)
    helped = [source for source, (_, effects) in found.items() if any(effect.accepted for effect in effects)]
    if harm:
        print("Next: look at the rules above before files are judged by them")
    elif helped:
        print(f'Next: incumbent quarantine replay {arguments.model} {helped[0]} PARTITION --reason "…"')
    else:
        print(f"Next: incumbent quarantine list {arguments.model}")
    return VERDICT_NO if harm else FINE


def _compare(store: ModelStore, model: Any, source: str, contract: Any, last: int) -> tuple[list[Change], list[Effect]]:
    from incumbent.validate.contract_diff import changes, contract_in_force, effects

    before = contract_in_force(store, model, source)
    if before is None or before == contract:
        return [], []
    return changes(before, contract), list(effects(store, model, source, contract, last))


def _print(source: str, changes: list[Change], effects: list[Effect]) -> None:
    if not changes:
        print(f"{source}: nothing has changed")
        return
    print(f"{source}:")
    for change in changes:
        print(f"  {change.key}: {_said(change.before)} -> {_said(change.after)}")
    if effects:
        print(f"  {'partition':<12} {'rows':>10} {'now bad':>10} {'now good':>10}  broken rules, and what would stop")
    for effect in effects:
        counts = f"{effect.rows:>10} {effect.rejected:>10} {effect.accepted:>10}"
        rules = ", ".join(f"{rule} {count}" for rule, count in effect.rules.items())
        stops = f" STOPPED: {effect.stops}" if effect.stops else ""
        print(f"  {effect.partition or 'once':<12} {counts}  {rules}{stops}")


def _said(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
