"""`incumbent retrain why`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import FINE, USAGE
from incumbent.cli.stored import opened

if TYPE_CHECKING:
    from incumbent.retrain.why import Why

SCHEMA = "incumbent.retrain_why/1"
# On which side of its limit a rule fires; of what is spent it fires when the next challenger would not fit any more.
SIDES = {"drift": ">=", "growth": ">=", "age": ">=", "new_rows": "<", "budget": "<", "error_budget": "of"}
SAID = {
    "same": "Made again from its records: the same numbers.",
    "other": "Made again from its records it is another one: thresholds or rules have changed since.",
    "unknown": "It does not say what it looked at: an older release made it.",
}


def why_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("partition", nargs="?", help="partition key; the newest decision when left out")
    parser.add_argument("--all", action="store_true", help="every decision about the partition, and not the last alone")
    parser.add_argument("--json", action="store_true", help="print the decisions as JSON")


def why(arguments: argparse.Namespace) -> int:
    """Print what fired at a partition, what did not and by how much, and what stopped a training."""
    from incumbent.partitions import check_key
    from incumbent.retrain.why import decisions
    from incumbent.retrain.why import why as explain

    folder, store = opened(arguments.model)
    made = decisions(store, arguments.partition)
    if not made:
        if arguments.partition:
            check_key(arguments.partition, folder.model.grain)
        about = f"about {arguments.partition} " if arguments.partition else ""
        print(f"no decision {about}is on record in {store.blobs.url}")
        print(f"Next: let {arguments.model}.monitor run; it decides when predictions and when outcomes come")
        return USAGE
    shown = [explain(store, folder.model, decision) for decision in (made if arguments.all else made[-1:])]
    if arguments.json:
        print(json.dumps({"schema": SCHEMA, "decisions": [asdict(found) for found in shown]}))
        return FINE
    for number, found in enumerate(shown):
        head = [f"Decision {number + 1} of {len(shown)}, {_when(found)}", ""] if len(shown) > 1 else []
        print(*([""] if number else []), *head, *_lines(found), sep="\n")
    print(f"Next: {_next(arguments.model, shown[-1])}")
    return FINE


def _when(found: Why) -> str:
    """Say what was known when it was decided: each partition is looked at when scored, and when outcomes come."""
    partition = found.decision.partition
    if found.outcomes is None:
        return f"{partition}: by an older release"
    return f"{partition}: {'after' if found.outcomes else 'before'} its outcomes came"


def _lines(found: Why) -> Iterator[str]:
    evidence = found.decision.evidence
    yield found.decision.message
    if found.generation:
        yield f"champion: generation {found.generation}, {evidence.get('state', 'in a state that is not on record')}"
    for title, rules in (("asks", evidence.get("asks", ())), ("holds back", evidence.get("holds", ()))):
        if rules:
            yield ""
            yield f"{title:<24} {'value':>10} {'fires at':>8}  fired"
            yield from (_rule(rule) for rule in rules)
    yield ""
    if "recalibrate" in evidence:
        yield f"The champion gets another intercept first, from the rows since {evidence['recalibrate']}."
    if "since" in evidence:
        yield f"A second candidate learns from the rows since {evidence['since']} alone."
    if found.request:
        yield f"request {found.request}: {found.answer or 'not answered yet'}"
    yield SAID[found.replayed]
    if found.now is not None and found.replayed != "same":
        yield f"Now: {found.now.message}"


def _rule(rule: Mapping[str, Any]) -> str:
    side = SIDES.get(str(rule["rule"]), ">")
    limit = "" if rule["limit"] is None else f"{side} {rule['limit']:g}"
    name = rule.get("channel", rule["rule"])
    return f"{name:<24} {_number(rule['value']):>10} {limit:>8}  {'yes' if rule['fired'] else 'no ':<5} {rule['says']}"


def _number(value: float) -> str:
    """Return a count as a count, and of anything else four digits.

    >>> _number(12283.0), _number(-0.45871), _number(2.209)
    ('12283', '-0.4587', '2.209')
    """
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"


def _next(model: str, found: Why) -> str:
    if found.request and not found.answer:
        return f"the run of {model}.train that answers {found.request}"
    if found.request:
        return f"the gate report of {found.request}, in the run of {model}.train"
    return f"to train all the same, trigger {model}.train with partition {found.decision.partition} and a reason"
