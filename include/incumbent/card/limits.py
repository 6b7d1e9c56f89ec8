"""What is known not to hold, and what nobody has looked at: a card that lists only what was done says too much."""

from __future__ import annotations

from collections.abc import Iterator

from incumbent.card.blocks import Items, Section
from incumbent.card.judged import gate_of
from incumbent.card.known import Known
from incumbent.evaluate.words import count

NOT_ASKED = {
    "fairness": "Groups of people were not compared (gates.fairness).",
    "behaviour": "How predictions answer to a changed input was not tested (gates.behaviour).",
    "cost": "What its mistakes cost was not compared (gates.cost).",
    "floors": "No smallest performance was asked for (gates.floors): it was compared, and not held to a level.",
    "latency": "How long it takes to predict was not measured (gates.max_ms_per_1000_rows).",
}


def limits(known: Known) -> Section:
    """Return the limits that the team names, then those that the record shows."""
    named = known.model.card.limits
    first = [f"The team says: {each}" for each in named] or ["The team names no limits (card.limits of model.yaml)."]
    return Section("Limits", (Items((*first, *_found(known))),))


def _found(known: Known) -> Iterator[str]:
    snapshot, report = known.snapshot, known.report
    if snapshot and known.figures:
        yield (
            f"Its figures are of {count(known.figures.rows)} rows from {snapshot.gate_from} to before "
            f"{snapshot.gate_until}. Of other times, places and populations they say nothing."
        )
    if report is None:
        yield "It was never judged by a gate."
        return
    for gate in report.gates:
        if gate.get("passed") is not True:
            yield f"Gate {gate.get('gate')}: {gate.get('sentence', '')}."
    yield from (said for name, said in NOT_ASKED.items() if gate_of(known, name) is None)
    if gate_of(known, "slices") is None:
        yield "Parts of the rows were not compared: it had no champion to be compared with."
    yield "Nobody has tried to deceive it: robustness against inputs that were made to mislead was not tested."
    yield "It was tested on what happened, not on what its use changes: no effect of acting on it is measured here."
