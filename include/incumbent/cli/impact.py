"""`incumbent impact`."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE
from incumbent.cli.stored import opened
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.config import Model
    from incumbent.provenance.impact import Impact
    from incumbent.store import ModelStore

SCHEMA = "incumbent.impact/1"


def impact_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--snapshot", metavar="ID", help="a training set; or a version or request that it is of")
    of.add_argument("--batch", metavar="KEY", help="a partition of a source, as it was before it was corrected")
    of.add_argument("--generation", type=int, metavar="N", help="a generation of the ledger")
    parser.add_argument("--source", help="with --batch: which source; the batch source if left out")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def impact(arguments: argparse.Namespace) -> int:
    """Print what rests on a batch, a training set or a generation, and the command that repairs it."""
    folder, store = opened(arguments.model)
    model, found = folder.model, _found(folder.model, store, arguments)
    repair = repair_of(model.name, found)
    if arguments.json:
        plain = asdict(found) | {"assets": found.assets(model.name), "rows": found.rows}
        print(json.dumps({"schema": SCHEMA, **plain, "partitions": found.partitions, "repair_command": repair}))
        return FINE
    print(*_lines(model.name, found), sep="\n")
    if found.is_there and repair:
        print("it is as it was delivered: drop a corrected file first, and what is made of it is made again by itself")
    print(f"Next: {repair or _otherwise(model.name, found)}")
    return FINE


def repair_of(model: str, found: Impact) -> str:
    """Return the command that scores again what is touched, with a generation that is not; empty if there is none."""
    if not found.repair:
        return ""
    reason = shlex.quote(f"rests on {found.of}")
    return f"incumbent score {model} --partitions {','.join(found.again)} --generation {found.repair} --reason {reason}"


def _found(model: Model, store: ModelStore, arguments: argparse.Namespace) -> Impact:
    from incumbent.provenance.impact import of_batch, of_generation, of_snapshot
    from incumbent.snapshot.show import find

    if arguments.source is not None and (arguments.batch is None or arguments.source not in model.sources):
        raise ConfigError(
            "no such source of a batch",
            where=f"model {model.name}, --source {arguments.source}",
            expected=f"with --batch, one of {', '.join(model.sources)}",
            found=arguments.source,
            next_step="incumbent impact --help",
        )
    if arguments.generation is not None:
        return of_generation(store, arguments.generation, model.publish)
    if arguments.snapshot is not None:
        return of_snapshot(store, find(store, arguments.snapshot).id, model.publish)
    return of_batch(store, model, arguments.source or model.batch_source, arguments.batch, model.publish)


def _lines(model: str, found: Impact) -> Iterator[str]:
    yield f"{found.of}: {found.rows} prediction rows of {len(found.partitions)} partitions rest on it"
    for snapshot in found.snapshots:
        yield f"snapshot {snapshot[:16]}"
    for version in found.versions:
        yield f"version {version[:16]}"
    if found.generations:
        yield f"generations {', '.join(map(str, found.generations))}"
    for word, scored in (("made of it", found.of_data), ("predicted by what learned from it", found.by_version)):
        for each in scored:
            yield f"predictions {each.partition}: {each.rows} rows {word}, generation {each.generation}"
    yield f"{len(found.reports)} gate reports and {len(found.verdicts)} verdicts rest on it"
    for asset, partitions in found.assets(model).items():
        if partitions:
            yield f"asset {asset}: {', '.join(partitions)}"
    for copy in (each for copies in found.published.values() for each in copies):
        where = f"{copy.place} ({copy.address})" if copy.address else f"{copy.place}, which model.yaml does not name"
        touched = "nobody knows how many" if copy.touched is None else copy.touched
        stale = "" if copy.is_current else ", and the store holds another content now"
        yield f"published {copy.partition} in {where}: {touched} of {copy.rows} rows{stale}"


def _otherwise(model: str, found: Impact) -> str:
    if found.is_there:
        return "drop a corrected file: what is made of it is made again by itself; then this command again"
    if not found.again:
        return "nothing is to be repaired"
    return f"no generation is untouched: deliver what is right, trigger {model}.train with a reason, and ask again"
