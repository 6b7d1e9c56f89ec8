"""Batches that are held: found broken, announced to nobody, until a correction comes or a person releases them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from incumbent.config import Model
from incumbent.features.inputs import PROFILES, Inputs
from incumbent.records import Hold, Part, Revisit, digest_of
from incumbent.store import ModelStore


def known_hold(store: ModelStore, model: Model, inputs: Inputs) -> Hold | None:
    """Return why a batch was held under the model's tolerances, or None."""
    name = hold_name(model, inputs)
    return store.records.get(Hold, name) if store.records.has(Hold.kind, name) else None


def hold(store: ModelStore, model: Model, inputs: Inputs, definition: str, failed: Sequence[dict[str, Any]]) -> Hold:
    """Write down that a batch is held, with the findings of its integrity tests; the first record stands."""
    sentences = "; ".join(str(finding["sentence"]) for finding in failed if finding["holds"])
    record = Hold(
        partition=inputs.partition,
        batch_digest=inputs.batch.digest,
        definition=definition,
        findings=tuple(failed),
        message=f"Held, nothing announced: {sentences}. Next: deliver a corrected file for {inputs.partition}, "
        f'or incumbent batch release {model.name} {inputs.partition} --reason "…".',
    )
    name = hold_name(model, inputs)
    store.records.claim(Hold.kind, name, record.to_json())
    return store.records.get(Hold, name)


def hold_name(model: Model, inputs: Inputs) -> str:
    """Return the name of the record that holds some inputs under the model's tolerances."""
    settings = model.integrity.model_dump(mode="json")
    return f"{inputs.partition}-{digest_of([inputs.digest, settings])[:16]}"


def is_released(store: ModelStore, source: str, batch: Part) -> bool:
    """Return whether a person has released this content of a batch, whatever the integrity tests find in it."""
    names = store.records.names(Revisit.kind, f"{source}/{batch.partition}/")
    orders = (store.records.get(Revisit, name) for name in names if name.endswith("/open"))
    return any(order.action == "release" and order.accepted["digest"] == batch.digest for order in orders)


def held(store: ModelStore, source: str) -> list[Hold]:
    """Return the holds that stand: the batch is the one that is there, nobody released it, nothing was built from it.

    Args:
        store: The model's store.
        source: The batch source.
    """
    parts = store.batches(source).parts()
    holds = [hold for hold in store.records.all(Hold) if _is_there(parts.get(hold.partition), hold)]
    if not holds:
        return []
    built = {store.records.get_plain(PROFILES, name)["batch"] for name in store.records.names(PROFILES)}
    waiting = {hold.batch_digest: hold for hold in holds if hold.batch_digest not in built}
    return [hold for hold in waiting.values() if not is_released(store, source, parts[hold.partition])]


def _is_there(part: Part | None, hold: Hold) -> bool:
    return part is not None and part.digest == hold.batch_digest
