"""`incumbent batch show | release`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import accepted, opened, person


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _about_a_batch(parser)
    parser.add_argument("--json", action="store_true", help="print the records as JSON")


def show(arguments: argparse.Namespace) -> int:
    """Print what became of each delivery of a batch, and why it is held, if it is; the verdict is no then."""
    from incumbent.features.holds import held
    from incumbent.records import Ingest, Revisit
    from incumbent.validate.revisits import answer

    folder, store = opened(arguments.model)
    source = folder.model.batch_source
    deliveries = store.records.all(Ingest, f"{source}/{arguments.partition}/")
    holds = [hold for hold in held(store, source) if hold.partition == arguments.partition]
    opens = [name for name in store.records.names(Revisit.kind, f"{source}/{arguments.partition}/") if "/open" in name]
    revisits = [store.records.get(Revisit, name) for name in opens]
    answers = [answer(store, revisit) for revisit in revisits]
    if arguments.json:
        plain = [asdict(revisit) | {"answer": found} for revisit, found in zip(revisits, answers, strict=True)]
        known = {"deliveries": [asdict(each) for each in deliveries], "revisits": plain}
        print(json.dumps({**known, "held": [asdict(hold) for hold in holds]}))
        return VERDICT_NO if holds else FINE
    for record in deliveries:
        print(f"delivery {record.raw_digest[:16]}: {record.verdict}. {record.message}")
    for revisit, found in zip(revisits, answers, strict=True):
        said = "waits for a run" if found is None else f"{found['verdict']}. {found['message']}"
        print(f"{revisit.action} {revisit.id}, asked for by {revisit.by} ({revisit.reason}): {said}")
    for hold in holds:
        print(hold.message)
    if not deliveries:
        print(f"nothing of {source} {arguments.partition} was delivered to {store.blobs.url}")
    if not holds:
        print("Next: incumbent doctor")
    return VERDICT_NO if holds else FINE


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
