"""`incumbent batch show | release`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import accepted, opened, person

if TYPE_CHECKING:
    from incumbent.store import ModelStore


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _about_a_batch(parser)
    parser.add_argument("--json", action="store_true", help="print the records as JSON")


def show(arguments: argparse.Namespace) -> int:
    """Print what became of each delivery of a batch, and why it is held, if it is; the verdict is no then."""
    from incumbent.features.holds import held
    from incumbent.records import Ingest, Revisit
    from incumbent.validate.replay import accepted_now
    from incumbent.validate.revisits import answer

    folder, store = opened(arguments.model)
    source = folder.model.batch_source
    names = _in_order(store, Ingest.kind, f"{source}/{arguments.partition}/")
    deliveries = [store.records.get(Ingest, name) for name in names]
    holds = [hold for hold in held(store, source) if hold.partition == arguments.partition]
    opens = [name for name in _in_order(store, Revisit.kind, f"{source}/{arguments.partition}/") if "/open" in name]
    revisits = [store.records.get(Revisit, name) for name in opens]
    answers = [answer(store, revisit) for revisit in revisits]
    if arguments.json:
        plain = [asdict(revisit) | {"answer": found} for revisit, found in zip(revisits, answers, strict=True)]
        known = {"deliveries": [asdict(each) for each in deliveries], "revisits": plain}
        print(json.dumps({**known, "held": [asdict(hold) for hold in holds]}))
        return VERDICT_NO if holds else FINE
    standing = accepted_now(store, folder.model, source, arguments.partition)
    for name, record in zip(names, deliveries, strict=True):
        at, stands = _at(store, Ingest.kind, name), ", stands" if record == standing else ""
        print(f"{at} delivery {record.raw_digest[:16]}: {record.verdict}{stands}. {record.message}")
    for name, revisit, found in zip(opens, revisits, answers, strict=True):
        said = "waits for a run" if found is None else f"{found['verdict']}. {found['message']}"
        at = _at(store, Revisit.kind, name)
        print(f"{at} {revisit.action} {revisit.id}, asked for by {revisit.by} ({revisit.reason}): {said}")
    for line in _made(store, arguments.partition):
        print(line)
    for hold in holds:
        print(hold.message)
    if not deliveries:
        print(f"nothing of {source} {arguments.partition} was delivered to {store.blobs.url}")
    if standing is None:
        print("Next: drop a file that the contract accepts, under the name that model.yaml says")
    elif not holds:
        print(f"Next: incumbent quarantine list {arguments.model}")
    return VERDICT_NO if holds else FINE


def _made(store: ModelStore, partition: str) -> Iterator[str]:
    """Yield what was made from a batch."""
    for name, table in store.tables().items():
        if name.startswith(("features/", "predictions")) and (part := table.part(partition)) is not None:
            yield f"{part.rows} rows in {name}"


def _in_order(store: ModelStore, kind: str, below: str) -> list[str]:
    """Return the names of records, first written first."""
    return sorted(store.records.names(kind, below), key=lambda name: store.records.written(kind, name))


def _at(store: ModelStore, kind: str, name: str) -> str:
    return f"{store.records.written(kind, name):%Y-%m-%d %H:%M:%S}"


def release_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _about_a_batch(parser)
    parser.add_argument("--reason", required=True, help="why, in a sentence; goes on record")


def release(arguments: argparse.Namespace) -> int:
    """Let a held batch go on as it is; the verdict is no if it is not held."""
    from incumbent.features.holds import held
    from incumbent.records import Revisit
    from incumbent.validate.revisits import RELEASE, order

    folder, store = opened(arguments.model)
    source = folder.model.batch_source
    holds = [hold for hold in held(store, source) if hold.partition == arguments.partition]
    if not holds:
        print(f"{source} {arguments.partition} is not held")
        print(f"Next: incumbent batch show {arguments.model} {arguments.partition}")
        return VERDICT_NO
    record = accepted(folder, store, source, arguments.partition)
    revisit = Revisit(
        action=RELEASE,
        source=source,
        partition=record.partition,
        raw_digest=record.raw_digest,
        contract_digest=record.contract_digest,
        accepted={"partition": record.partition, "digest": record.digest, "rows": record.rows},
        aside={},
        rule="",
        corrections="",
        reason=arguments.reason,
        by=person(),
    )
    order(store, revisit)
    for hold in holds:
        print("released, although", "; ".join(each["sentence"] for each in hold.findings if each["holds"]))
    print(f"Next: the run of {arguments.model}.features that starts by itself computes its features")
    return FINE


def _about_a_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name of the model")
    parser.add_argument("partition", help="partition key")
