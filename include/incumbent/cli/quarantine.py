"""`incumbent quarantine list | show`."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import FINE
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.store import ModelStore

SHOWN = 20
HELD = "held"


def list_aside_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def list_aside(arguments: argparse.Namespace) -> int:
    """Print what is set aside now, by source, partition and rule, and the batches that are held."""
    from incumbent.records import Hold

    store = _store(arguments.model)
    aside: list[dict[str, Any]] = [
        {"source": source, "partition": partition, "rules": rules}
        for source in _sources(store)
        for partition, rules in _rules(store, source).items()
    ]
    batches = store.tables()
    held = [asdict(hold) for hold in store.records.all(Hold) if _is_held(batches, hold)]
    if arguments.json:
        print(json.dumps({"rows": aside, HELD: held}))
        return FINE
    for entry in aside:
        rules = ", ".join(f"{rule} {count}" for rule, count in entry["rules"].items())
        print(f"{entry['source']:<16} {entry['partition']:<12} {rules}")
    for hold in held:
        print(f"{HELD:<16} {hold['partition']:<12} {hold['message']}")
    if not aside and not held:
        print(f"nothing is set aside or held in {store.blobs.url}")
    print(f"Next: incumbent quarantine show {arguments.model} SOURCE PARTITION" if aside else "Next: incumbent doctor")
    return FINE


def show_aside_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("source", help="name of the source")
    parser.add_argument("partition", help="partition key; `once` for a source of one file")
    parser.add_argument("--rule", help="only rows that break this rule")
    parser.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"rows to print (default {SHOWN})")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON lines")


def show_aside(arguments: argparse.Namespace) -> int:
    """Print rows that are set aside: which line of the delivery, which rule, why, and the value."""
    store = _store(arguments.model)
    table = store.quarantine(arguments.source)
    if table.part(arguments.partition) is None:
        raise ConfigError(
            "nothing is set aside there",
            where=f"{store.blobs.url}: {arguments.source} {arguments.partition}",
            expected="a source and a partition that `incumbent quarantine list` names",
            found=", ".join(f"{source} {key}" for source in _sources(store) for key in _rules(store, source)) or "none",
            next_step=f"incumbent quarantine list {arguments.model}",
        )
    rows = table.read([arguments.partition]).to_pylist()
    found = [row for row in rows if arguments.rule in (None, row["rule"])]
    for row in found[: arguments.limit]:
        if arguments.json:
            print(json.dumps(row, ensure_ascii=False))
            continue
        value = f", {row['column']} = {row['value']}" if row["column"] else ""
        print(f"line {row['line']}, key {row['key']}: {row['rule']}, {row['reason']}{value}")
    if not arguments.json:
        print(f"{min(len(found), arguments.limit)} of {len(found)} entries")
        print("Next: correct the file, or the contract, and drop the file again")
    return FINE


def _store(model: str) -> ModelStore:
    return Settings.from_env(os.environ).open_store().model(model)


def _sources(store: ModelStore) -> list[str]:
    return [name.partition("/")[2] for name in store.tables() if name.startswith("quarantine/")]


def _rules(store: ModelStore, source: str) -> dict[str, dict[str, int]]:
    """Return how many rows of each partition break each rule."""
    out: dict[str, Counter[str]] = {}
    table = store.quarantine(source)
    for partition, part in table.parts().items():
        if part.rows:
            out[partition] = Counter(table.read_parts([part], ["rule"])["rule"].to_pylist())
    return {partition: dict(rules.most_common()) for partition, rules in out.items()}


def _is_held(tables: dict[str, Any], hold: Any) -> bool:
    """Return whether a held batch is still the one that is there."""
    parts = [table.part(hold.partition) for name, table in tables.items() if name.startswith("batches/")]
    return any(part is not None and part.digest == hold.batch_digest for part in parts)
