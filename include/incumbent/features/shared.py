"""Feature rows that another model of the store has made from the same inputs with the same SQL.

Two models over one feed have the same features more often than not. Who computes them first says where they are; the
next verifies that file and takes it over. Nothing is promised of it: what is gone or has changed is computed.
"""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass

from incumbent.config import Model
from incumbent.errors import StoreError
from incumbent.features.inputs import Inputs
from incumbent.features.profile import Profile
from incumbent.records import Part, digest_of
from incumbent.store import ModelStore
from incumbent.store.removals import kept
from incumbent.store.tables import Staged

BUILDS = "feature_builds"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """Feature rows that are written down and not published yet.

    Attributes:
        staged: The rows.
        profile: What was counted of them.
        is_own: Whether this model computed them.
    """

    staged: Staged
    profile: Profile
    is_own: bool = True


def take_over(held: ExitStack, store: ModelStore, model: Model, definition: str, inputs: Inputs) -> Made | None:
    """Return the rows that another model has made from these inputs, or None.

    Args:
        held: Gives the staged file up when it ends.
        store: The model's store.
        model: Its configuration.
        definition: Feature definition digest.
        inputs: What the rows are made from.
    """
    name = _name(model, definition, inputs)
    if not store.shared.has(BUILDS, name) or _is_erased(store, model, inputs):
        return None
    plain = store.shared.get_plain(BUILDS, name)
    if plain["model"] == store.name:
        return None
    other = store.beside(plain["model"])
    part = Part(plain["partition"], plain["features"], plain["rows"])
    try:
        profile = Profile.from_json(json.loads(other.objects.get(plain["profile"])))
        table = store.features(definition)
        staged = held.enter_context(table.staged_copy(inputs.partition, part, other.features(definition)))
    except StoreError as error:
        LOG.warning("features of %s are computed, not taken from %s: %s", inputs.partition, plain["model"], error.what)
        return None
    return Made(staged, profile, is_own=False)


def offer(store: ModelStore, model: Model, definition: str, inputs: Inputs, part: Part, profile: str) -> None:
    """Say where rows are, for other models; the first who made them is named.

    Args:
        store: The model's store.
        model: Its configuration.
        definition: Feature definition digest.
        inputs: What the rows were made from.
        part: The rows.
        profile: Digest of the profile's object.
    """
    if _is_erased(store, model, inputs):
        return
    plain = {
        "schema": "incumbent.feature_build/1",
        "model": store.name,
        "partition": part.partition,
        "features": part.digest,
        "rows": part.rows,
        "profile": profile,
    }
    store.shared.claim(BUILDS, _name(model, definition, inputs), plain)


def _is_erased(store: ModelStore, model: Model, inputs: Inputs) -> bool:
    """Return whether rows were erased from the inputs since: another model's rows may still be made from them."""
    tables = {
        source: store.source(model.sources[source].role, source) for source in inputs.parts if source in model.sources
    }
    return any(
        kept(store.records, table.name, part) != part
        for source, table in tables.items()
        for part in inputs.parts[source]
    )


def _name(model: Model, definition: str, inputs: Inputs) -> str:
    """Name everything that decides the rows, and nothing else: two models may call their batch by two names."""
    contents = {source: [part.digest for part in parts] for source, parts in inputs.parts.items()}
    batch = contents.pop(model.batch_source)
    context = {name: found for name, found in contents.items() if name in model.sources}
    kept_out = {name: sorted(found) for name, found in model.sensitive.kept_out.items()}
    return digest_of(
        {
            "definition": definition,
            "batch": batch,
            "context": context,
            "kept_out": [kept_out.get(model.batch_source, ()), *(kept_out.get(name, ()) for name in sorted(context))],
            "known_at": {name: model.sources[name].known_at for name in context},  # what they were proven against
            "keys": list(model.keys),
            "time": model.time,
        }
    )
