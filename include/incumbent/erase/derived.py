"""What was written down about contents, said again of what is left of them.

Pins, builds, holds and verdicts name contents by digest. Without these records an erasure would look like a
correction: features would be made again, of other facts; partitions would be scored again by today's champion;
and the policy would forget its verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from incumbent.config import Model
from incumbent.features.build import built_name
from incumbent.features.holds import hold_name
from incumbent.features.inputs import PINS, PROFILES, Inputs, inputs_of, pin_name, plain_pin
from incumbent.records import Hold, ModelVersion, Part
from incumbent.store import ModelStore
from incumbent.store.removals import chain, kept
from incumbent.verdict_names import (
    DIAGNOSES,
    DRIFT_COUNTS,
    ESTIMATES,
    VERDICTS,
    diagnosis_name,
    drift_name,
    performance_name,
)

INPUTS = "inputs/"


def say_again(store: ModelStore, model: Model) -> None:
    """Write the records that speak of what is left; those that are there stay, and so do the old ones."""
    inputs = _pins(store, model)
    _builds(store, inputs)
    for before, after in inputs:
        _hold(store, model, before, after)
        old, new = (f"score-{each.partition}-{each.digest[:16]}" for each in (before, after))
        if store.records.has(PINS, old):
            store.records.claim(PINS, new, {**store.records.get_plain(PINS, old), "inputs": after.digest})
    _verdicts(store, model)


def _pins(store: ModelStore, model: Model) -> list[tuple[Inputs, Inputs]]:
    """Pin what is left of pinned inputs; return both, those of what the tables hold now first.

    Two contents that differ in erased rows only leave the same, and the first record stands.
    """
    found = []
    for name in store.records.names(PINS, INPUTS):
        partition = name.removeprefix(INPUTS).rsplit("-", 1)[0]
        plain = store.records.get_plain(PINS, name)
        if model.batch_source not in plain or not plain.keys() <= model.sources.keys():
            continue  # of sources that the model no longer has: nobody looks it up
        seen = {source: [Part(**part) for part in parts] for source, parts in plain.items()}
        left = {source: _left(store, model, source, parts) for source, parts in seen.items()}
        if left != seen:
            found.append((_is_current(store, model, seen), partition, seen, left))
    pairs = []
    for _, partition, seen, left in sorted(found, key=lambda each: not each[0]):
        stands = store.records.claim(PINS, pin_name(model, partition, left), plain_pin(left))
        before = inputs_of(model, partition, plain_pin(seen))
        pairs.append((before, inputs_of(model, partition, stands)))
    return pairs


def _left(store: ModelStore, model: Model, source: str, parts: Sequence[Part]) -> list[Part]:
    table = store.source(model.sources[source].role, source).name
    return [kept(store.records, table, part) for part in parts]


def _is_current(store: ModelStore, model: Model, seen: Mapping[str, Sequence[Part]]) -> bool:
    """Return whether a pin is of what the tables hold, before or after the commit of what is left."""
    for source, parts in seen.items():
        table = store.source(model.sources[source].role, source)
        held = table.parts()
        if any(held.get(part.partition) not in chain(store.records, table.name, part) for part in parts):
            return False
    return True


def _builds(store: ModelStore, inputs: Sequence[tuple[Inputs, Inputs]]) -> None:
    records = store.records
    for before, after in inputs:
        for name in records.names(PROFILES):
            definition, _, of = name.partition("/")
            plain = records.get_plain(PROFILES, name) if of == f"{before.partition}-{before.digest[:16]}" else {}
            if plain.get("inputs") != before.digest:
                continue
            features = kept(records, f"features/{definition}", Part(before.partition, plain["features"], 0))
            again = {**plain, "inputs": after.digest, "batch": after.batch.digest, "features": features.digest}
            records.claim(PROFILES, built_name(definition, after), again)


def _hold(store: ModelStore, model: Model, before: Inputs, after: Inputs) -> None:
    name = hold_name(model, before)
    if store.records.has(Hold.kind, name):
        plain = store.records.get_plain(Hold.kind, name)
        store.records.claim(Hold.kind, hold_name(model, after), {**plain, "batch_digest": after.batch.digest})


def _verdicts(store: ModelStore, model: Model) -> None:
    """Name the verdicts about predictions and outcomes that stand by what is left of these."""
    outcomes = store.outcomes(model.outcome_source)
    truths = outcomes.parts()
    versions = store.records.names(ModelVersion.kind)
    for key, part in store.predictions.parts().items():
        left = kept(store.records, store.predictions.name, part)
        drift = [(drift_name(key, part, version), drift_name(key, left, version)) for version in versions]
        performance = [("", "")]
        if key in truths:
            truth = kept(store.records, outcomes.name, truths[key])
            performance.append((performance_name(key, part, truths[key]), performance_name(key, left, truth)))
        pairs = [(VERDICTS, *pair) for pair in (*drift, *performance[1:])] + [
            (kind, *pair) for pair in drift for kind in (DRIFT_COUNTS, ESTIMATES)
        ]
        pairs += [
            (DIAGNOSES, diagnosis_name(key, old, was), diagnosis_name(key, new, now))
            for old, new in drift
            for was, now in performance
        ]
        for kind, old, new in pairs:
            if old != new and store.records.has(kind, old):
                store.records.claim(kind, new, store.records.get_plain(kind, old))
