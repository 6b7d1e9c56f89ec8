"""`incumbent quarantine list | show | replay`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import ONCE, opened, person
from incumbent.errors import ConfigError
from incumbent.sensitive import MASK, mask_row

if TYPE_CHECKING:
    from incumbent.config import ModelFolder
    from incumbent.records import Part, Revisit
    from incumbent.store import ModelStore
    from incumbent.validate.replay import Replayed

SHOWN = 20


def list_aside_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def list_aside(arguments: argparse.Namespace) -> int:
    """Print what is set aside now, by source, partition and rule, and the batches that are held."""
    from incumbent.features.holds import held

    folder, store = opened(arguments.model)
    aside: list[dict[str, Any]] = [
        {"source": source, "partition": partition, "rules": rules}
        for source in _sources(store)
        for partition, rules in _rules(store, source).items()
    ]
    holds = held(store, folder.model.batch_source)
    if arguments.json:
        print(json.dumps({"rows": aside, "held": [asdict(hold) for hold in holds]}))
        return FINE
    for entry in aside:
        rules = ", ".join(f"{rule} {count}" for rule, count in entry["rules"].items())
        print(f"{entry['source']:<16} {entry['partition']:<12} {rules}")
    for hold in holds:
        print(f"{folder.model.batch_source:<16} {hold.partition:<12} {hold.message}")
    if not aside and not holds:
        print(f"nothing is set aside or held in {store.blobs.url}")
    print(f"Next: incumbent quarantine show {arguments.model} SOURCE PARTITION" if aside else "Next: incumbent doctor")
    return FINE


def show_aside_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _about_a_quarantine(parser)
    parser.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"rows to print (default {SHOWN})")
    parser.add_argument("--json", action="store_true", help="print each entry as a line of JSON, and all of them")


def show_aside(arguments: argparse.Namespace) -> int:
    """Print rows that are set aside: which row of the delivery, which rule, why, and the value."""
    folder, store = opened(arguments.model)
    rows = store.quarantine(arguments.source).read_parts([_quarantine(store, arguments)]).to_pylist()
    masked = _masked(folder, store, arguments.source)
    found = [_shown(row, masked) for row in rows if arguments.rule in (None, row["rule"])]
    if arguments.json:
        for row in found:
            print(json.dumps({**row, "row": json.loads(row["row"])}, ensure_ascii=False))
        return FINE
    for row in found[: arguments.limit]:
        value = f", {row['column']} = {row['value']}" if row["column"] else ""
        print(f"row {row['line']}, key {row['key']}: {row['rule']}, {row['reason']}{value}")
    print(f"{min(len(found), arguments.limit)} of {len(found)} entries")
    words = f"{arguments.model} {arguments.source} {arguments.partition}"
    print(f'Next: correct the contract or the rows, then incumbent quarantine replay {words} --reason "…"')
    return FINE


def replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _about_a_quarantine(parser)
    parser.add_argument("--reason", required=True, help="why, in a sentence; goes on record")
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="corrected rows: lines of `quarantine show --json`",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what it would give, and ask for nothing")


def replay(arguments: argparse.Namespace) -> int:
    """Say what a replay of rows that are set aside gives, and ask for it; the verdict is no if it gives nothing."""
    from incumbent.validate.revisits import order

    store, revisit, found = _tried(arguments)
    rules = "; ".join(f"{rule} {count}" for rule, count in found.rules.items())
    print(f"rows that are good now: {found.joins}; that stay set aside: {found.left}" + (f": {rules}" if rules else ""))
    if found.stops:
        print(f"the batch would not hold: {found.stops}")
    if found.stops or not found.joins:
        print(f"Next: incumbent contract diff {arguments.model}")
        return VERDICT_NO
    if arguments.dry_run:
        print("Next: the same without --dry-run")
        return FINE
    aside = store.quarantine(arguments.source).part(arguments.partition)
    if aside is None or asdict(aside) != revisit.aside:
        print("its rows have changed since they were judged here, by another replay or delivery: nothing is asked for")
        print(f"Next: incumbent quarantine list {arguments.model}")
        return VERDICT_NO
    revisit, new = order(store, revisit)
    said = "asked for" if new else "asked for before, and not done yet"
    print(f"{said}, as revisit {revisit.id}, by {revisit.by}: {revisit.reason}")
    print(f"Next: the run of {arguments.model}.ingest_{arguments.source} that starts by itself does it")
    return FINE


def _about_a_quarantine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name of the model")
    parser.add_argument("source", help="name of the source")
    parser.add_argument("partition", help=f"partition key; `{ONCE}` for a source of one file")
    parser.add_argument("--rule", help="only rows that break this rule")


def _tried(arguments: argparse.Namespace) -> tuple[ModelStore, Revisit, Replayed]:
    """Return what a replay is asked for and what it gives, without any change."""
    from tempfile import TemporaryDirectory

    from incumbent.validate import load_contract
    from incumbent.validate.contract import source_contract
    from incumbent.validate.replay import judged_again, replay_of

    folder, store = opened(arguments.model)
    revisit = replay_of(
        store,
        folder.model,
        source_contract(load_contract(folder.contract_path), folder.model, arguments.source),
        arguments.source,
        "" if arguments.partition == ONCE else arguments.partition,
        rule=arguments.rule or "",
        corrections=_read(arguments.rows) if arguments.rows else b"",
        reason=arguments.reason,
        by=person(),
    )
    with TemporaryDirectory(prefix="incumbent-") as scratch:
        _, found = judged_again(store, folder.model, revisit, Path(scratch))
    return store, revisit, found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            "the corrected rows cannot be read", where=str(file), found=error, next_step="name a file that may be read"
        ) from error


def _quarantine(store: ModelStore, arguments: argparse.Namespace) -> Part:
    part = store.quarantine(arguments.source).part(arguments.partition)
    if part is None or not part.rows:
        found = [f"{source} {key}" for source in _sources(store) for key in _rules(store, source)]
        raise ConfigError(
            "nothing is set aside there",
            where=f"{store.blobs.url}: {arguments.source} {arguments.partition}",
            expected="a source and a partition that `incumbent quarantine list` names",
            found=", ".join(found) or "none",
            next_step=f"incumbent quarantine list {arguments.model}",
        )
    return part


def _sources(store: ModelStore) -> list[str]:
    return [name.partition("/")[2] for name in store.tables() if name.startswith("quarantine/")]


def _masked(folder: ModelFolder, store: ModelStore, source: str) -> set[str]:
    """Return the columns that nobody is shown: by the folder's contract, and by those that rows were judged by."""
    from incumbent.records import Ingest

    recorded = (name for record in store.records.all(Ingest, f"{source}/") for name in record.masked)
    return {*folder.model.sensitive.masked.get(source, ()), *recorded}


def _shown(row: dict[str, Any], masked: set[str]) -> dict[str, Any]:
    """Return an entry with the values masked that nobody is shown; the store keeps them, so rows can be replayed."""
    hidden = {"value": MASK} if row["column"] in masked and row["value"] is not None else {}
    return row | hidden | {name: mask_row(row[name], masked) for name in ("key", "row")}


def _rules(store: ModelStore, source: str) -> dict[str, dict[str, int]]:
    """Return how many rows of each partition break each rule."""
    out: dict[str, Counter[str]] = {}
    table = store.quarantine(source)
    for partition, part in table.parts().items():
        if part.rows:
            out[partition] = Counter(table.read_parts([part], ["rule"])["rule"].to_pylist())
    return {partition: dict(rules.most_common()) for partition, rules in out.items()}
