"""`incumbent score`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import opened, person
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.config import ModelFolder
    from incumbent.store import ModelStore


def score_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--partitions", required=True, metavar="A,B,…", help="partition keys")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--generation", type=int, metavar="N", help="whose version scores; the champion's if left out")
    whose.add_argument("--as-of", metavar="DATE", help="that of who held the seat at the end of a local day")
    parser.add_argument("--reason", required=True, help="why, in a sentence; goes on record")
    parser.add_argument("--json", action="store_true", help="print the order and its state as JSON")


def score(arguments: argparse.Namespace) -> int:
    """Ask for partitions to be scored again; asked for before, say what became of it, and no if anything failed."""
    from incumbent.partitions import check_key
    from incumbent.records import ScoreOrder
    from incumbent.score.orders import FAILED, LEFT, answers, order

    folder, store = opened(arguments.model)
    named = sorted({each.strip() for each in arguments.partitions.split(",") if each.strip()})
    keys = tuple(check_key(each, folder.model.grain) for each in named)
    generation = _generation(folder, store, arguments)
    given, is_new = order(store, folder.model, ScoreOrder(keys, generation, arguments.reason, person()))
    state = answers(store, given)
    is_bad = any(answer and answer["verdict"] in (FAILED, LEFT) for answer in state.values())
    if arguments.json:
        print(json.dumps({"id": given.id, **asdict(given), "new": is_new, "partitions": state}))
        return VERDICT_NO if is_bad else FINE
    done = sum(answer is not None for answer in state.values())
    said = "asked for" if is_new else f"asked for before, and {done} of {len(state)} partitions are answered"
    print(f"{said}, as order {given.id}, with generation {given.generation}, by {given.by}: {given.reason}")
    for key, answer in {} if is_new else state.items():
        print(f"{key:<16} " + (f"{answer['verdict']}. {answer['message']}" if answer else "waits for a run"))
    if done < len(state):
        print(
            f"Next: the runs of {arguments.model}.score that start by themselves do it; this command again says how far"
        )
    else:
        print(f"Next: incumbent impact {arguments.model} --generation {given.generation}")
    return VERDICT_NO if is_bad else FINE


def _generation(folder: ModelFolder, store: ModelStore, arguments: argparse.Namespace) -> int:
    from incumbent.partitions import moment_or_day
    from incumbent.promote.ledger import champion_at

    if arguments.generation is not None:
        return int(arguments.generation)
    as_of = arguments.as_of
    entry = champion_at(store, moment_or_day(as_of, folder.model.timezone)) if as_of else store.champion()
    if entry is None:
        raise ConfigError(
            "nobody held the seat",
            where=f"champion of {arguments.model}" + (f" as of {as_of}" if as_of else ""),
            expected="a day after the first entry of the ledger" if as_of else "a champion",
            found="none",
            next_step=f"incumbent champion show {arguments.model}",
        )
    return entry.generation
