"""`incumbent prediction why | verify`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import BROKEN, FINE, VERDICT_NO
from incumbent.cli.stored import opened
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.config import ModelFolder
    from incumbent.provenance.verify import Progress, Verified
    from incumbent.provenance.why import Asked, Why
    from incumbent.store import ModelStore

SCHEMA = "incumbent.prediction_why/1"
MOST_SHOWN = 10


def why_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("key", nargs="+", metavar="COLUMN=VALUE", help="each key column of the model, in the clear")
    parser.add_argument("--partition", help="look into this partition; else the newest that has the key")
    parser.add_argument("--as-of", metavar="MOMENT", help="what it said at a moment, or at the end of a day")
    parser.add_argument("--history", action="store_true", help="everything that the partition has said of it")
    parser.add_argument("--json", action="store_true", help="print the chain as JSON")


def why(arguments: argparse.Namespace) -> int:
    """Print the chain behind a prediction, each link looked at, and the prediction made again."""
    from incumbent.partitions import check_key, moment_or_day
    from incumbent.provenance.rows import key_of_row
    from incumbent.validate import load_contract

    if arguments.history and arguments.as_of:
        raise ConfigError(
            "one of the two is shown", where="incumbent prediction why", expected="--history, or --as-of",
            found="both", next_step="incumbent prediction why --help",
        )  # fmt: skip
    folder, store = opened(arguments.model)
    key = key_of_row(store, folder.model, load_contract(folder.contract_path), arguments.key)
    if arguments.partition is not None:
        check_key(arguments.partition, folder.model.grain)
    moment = moment_or_day(arguments.as_of, folder.model.timezone) if arguments.as_of else None
    asked = _asked(folder, store)
    found = asked.now(key, arguments.partition, moment)
    if arguments.history and (found or arguments.partition):
        found = asked.past(key, arguments.partition or found[0].partition)
    if arguments.json:
        print(json.dumps({"schema": SCHEMA, "rows": [_plain(each) for each in found]}, default=str))
        return _status(found)
    for number, each in enumerate(found):
        print(*([""] if number else []), *_lines(each), sep="\n")
    if not found:
        print(f"no prediction has this key in {store.blobs.url}" + (" at that moment" if moment else ""))
    print(f"Next: {_next(arguments.model, found)}")
    return _status(found)


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--rows", type=int, default=1000, metavar="N", help="rows to draw (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default 0)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def verify(arguments: argparse.Namespace) -> int:
    """Walk the chain of rows that are drawn by chance from every content that is kept, and predict them again."""
    from incumbent.provenance.verify import verify as walk

    if arguments.rows < 1:
        raise ConfigError(
            "not a number of rows", where="--rows", expected="1 or more", found=arguments.rows,
            next_step="incumbent prediction verify --help",
        )  # fmt: skip
    folder, store = opened(arguments.model)
    done = walk(_asked(folder, store), arguments.rows, arguments.seed, _tell)
    if arguments.json:
        print(json.dumps(asdict(done)))
    else:
        print(*_summary(done), sep="\n")
    return BROKEN if done.broken else FINE if done.rows else VERDICT_NO


def _tell(progress: Progress) -> None:
    (rows, all_rows), (contents, all_contents) = progress.rows, progress.contents
    print(f"{rows} of {all_rows} rows, {contents} of {all_contents} contents", file=sys.stderr, flush=True)


def _summary(done: Verified) -> Iterator[str]:
    generations = ", ".join(map(str, done.generations))
    yield f"{done.rows} rows of {done.contents} contents, {len(done.partitions)} partitions, generations {generations}"
    if done.by_generation:
        yield "rows by generation: " + ", ".join(f"{name}: {count}" for name, count in done.by_generation.items())
    yield f"of contents that were replaced since: {done.replaced}; of a batch that was corrected since: {done.restated}"
    yield f"by a version that lost its seat to a rollback: {done.rolled_back}"
    for name, states in done.links.items():
        yield f"  {name:<24} " + ", ".join(f"{state} {count}" for state, count in states.items())
    yield (f"made again from the raw file: {done.from_raw}; from the batch content: {done.from_batch}; "
           f"not any more: {done.not_again}")  # fmt: skip
    yield f"largest difference: {done.largest:.1g}"
    for found, count in list(done.broken.items())[:MOST_SHOWN]:
        yield f"broken, of {count} rows: {found}"
    yield f"Next: {'incumbent store check' if done.broken else 'incumbent doctor'}"


def _asked(folder: ModelFolder, store: ModelStore) -> Asked:
    from incumbent.estimators import predictor
    from incumbent.provenance.chain import Chain
    from incumbent.provenance.why import Asked

    drop = Settings.from_env(os.environ).open_drop()
    return Asked(Chain(store, folder.model, drop), predictor(store))


def _status(found: list[Why]) -> int:
    if any(each.broken for each in found):
        return BROKEN
    return FINE if found and all(each.difference is not None for each in found) else VERDICT_NO


def _plain(found: Why) -> dict[str, Any]:
    return asdict(found) | {"broken": [link.name for link in found.broken]}


def _lines(found: Why) -> Iterator[str]:
    key = " ".join(f"{name}={value}" for name, value in found.key.items())
    when = f", from {found.stood.since:%Y-%m-%d %H:%M:%S} UTC" if found.stood.since else ""
    when += f" to {found.stood.until:%Y-%m-%d %H:%M:%S} UTC" if found.stood.until else ""
    yield f"{key} in {found.partition}{when}"
    yield _says(found)
    for link in found.links:
        digest = link.digest[:16] or "-"
        said = "; ".join(filter(None, (link.says, link.found)))
        yield f"  {link.state:<9} {link.name:<32} {digest:<17} {said}"
    if found.again is not None:
        yield f"made again from the {found.start}: {_value(found.again)}, stored {_value(found.says)}"
    if found.broken:
        yield f"broken: {', '.join(link.name for link in found.broken)}"


def _says(found: Why) -> str:
    if "reason" in found.says:
        return f"not scored: {found.says['reason']}"
    return f"prediction {_value(found.says)}" if found.says else "not kept any more"


def _value(says: Any) -> str:
    shown = {name: f"{value:.9g}" if isinstance(value, float) else value for name, value in says.items()}
    return (
        str(shown["prediction"]) if list(shown) == ["prediction"] else ", ".join(f"{n} {v}" for n, v in shown.items())
    )


def _next(model: str, found: list[Why]) -> str:
    if any(each.broken for each in found):
        return "incumbent store check"
    if not found:
        return f"look the key up in the delivered file; if it is there, incumbent quarantine list {model}"
    made = found[-1].made
    return f"incumbent version why {model} {made.generation}" if made else f"incumbent quarantine list {model}"
