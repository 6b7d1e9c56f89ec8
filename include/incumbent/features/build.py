"""The features stage: integrity tests first, then features, and only then is anything announced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from incumbent.config import Model
from incumbent.features.compute import compute, stored_sql
from incumbent.features.inputs import Inputs, delivered, missing_sources, pinned_inputs
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.records import Hold, ModelVersion, Part, canonical_json, digest_of
from incumbent.store import ModelStore

PROFILES = "profiles"
HISTORY = 24  # newest earlier partitions that integrity is judged against


@dataclass(frozen=True)
class FeatureBuild:
    """What the stage did for one partition and one definition.

    Attributes:
        definition: Feature definition digest.
        part: Committed content; None when the batch is held.
        hold: Why the batch is held; None when it is not.
        changed: Whether this call committed anything.
    """

    definition: str
    part: Part | None
    hold: Hold | None
    changed: bool


def definitions_in_use(store: ModelStore, folder_sql: str) -> list[str]:
    """Store the folder's definition and return its digest, with the champion's if that differs.

    SCORE works with the champion's definition and the next training with the folder's: while a
    changed definition is a challenger, both live side by side.
    """
    current = store.objects.put(folder_sql.encode())
    champion = store.champion()
    if champion is None:
        return [current]
    held = store.records.get(ModelVersion, champion.version).definition
    return list(dict.fromkeys([current, held]))


def build(store: ModelStore, model: Model, definitions: Sequence[str], partition: str) -> list[FeatureBuild]:
    """Compute, test and commit the features of one partition under some stored definitions.

    A finding on an important column under any of them holds the batch: nothing is committed, the
    hold is recorded with its reasons, and the caller announces nothing. It stands until the batch
    is corrected or the tolerances are changed, whoever is champion meanwhile.
    """
    inputs = pinned_inputs(store, model, partition)
    if held := _held(store, model, inputs):
        return [FeatureBuild(definition, None, held, changed=False) for definition in definitions]
    judged = [(definition, *_judge(store, model, definition, inputs)) for definition in definitions]
    for definition, _, _, failed in judged:
        if any(finding["holds"] for finding in failed):
            held = _hold(store, model, inputs, definition, failed)
            return [FeatureBuild(definition, None, held, changed=False) for definition in definitions]
    return [_commit(store, definition, inputs, rows, found) for definition, rows, found, _ in judged]


def build_window(store: ModelStore, model: Model, definition: str, until: str) -> list[str]:
    """Compute the features that a definition still lacks up to a partition; return their keys.

    A changed definition becomes a challenger over the whole past, so its training and its gate
    read rows that were made by itself. Held batches stay out, and what was made of a delivery that
    has been corrected since is made again.
    """
    now, have = delivered(store, model), store.features(definition).parts()
    done = []
    for partition in now[model.batch_source]:
        if partition > until or missing_sources(store, model, partition, now):
            continue
        if _was_made_from(store, definition, pinned_inputs(store, model, partition, now), have.get(partition)):
            continue
        (built,) = build(store, model, [definition], partition)
        done += [partition] if built.part else []
    return done


def committed(store: ModelStore, definition: str, inputs: Inputs) -> Part | None:
    """Return a definition's features of a partition if they were made from exactly these inputs."""
    part = store.features(definition).part(inputs.partition)
    return part if _was_made_from(store, definition, inputs, part) else None


def feature_columns(model: Model, rows: pa.Table) -> list[str]:
    """Return the columns of feature rows that are features: no key, no time, no partition."""
    reserved = {*model.keys, model.time, "partition", "label", "local_date"}
    return [name for name in rows.column_names if name not in reserved]


def stored_profile(store: ModelStore, definition: str, partition: str, features: str) -> Profile | None:
    """Return the profile that was stored with a feature partition's content, or None."""
    for name in store.records.names(PROFILES, f"{definition[:16]}/{partition}-"):
        plain = store.records.get_plain(PROFILES, name)
        if plain["features"] == features:
            return Profile.from_json(json.loads(store.objects.get(plain["profile"])))
    return None


def _was_made_from(store: ModelStore, definition: str, inputs: Inputs, part: Part | None) -> bool:
    name = _built_name(definition, inputs)
    if part is None or not store.records.has(PROFILES, name):
        return False
    return bool(store.records.get_plain(PROFILES, name)["features"] == part.digest)


def _judge(
    store: ModelStore, model: Model, definition: str, inputs: Inputs
) -> tuple[pa.Table, Profile, list[dict[str, Any]]]:
    rows = compute(store, model, stored_sql(store, definition), inputs)
    found = profile(rows, feature_columns(model, rows))
    history = _history(store, definition, inputs.partition)
    return rows, found, findings(found, history, _importance(store), model.integrity)


def _commit(store: ModelStore, definition: str, inputs: Inputs, rows: pa.Table, found: Profile) -> FeatureBuild:
    commit = store.features(definition).replace(inputs.partition, rows)
    plain = {
        "inputs": inputs.digest,
        "batch": inputs.batch.digest,
        "features": commit.part.digest,
        "profile": store.objects.put(canonical_json(found.to_json())),
    }
    store.records.put_plain(PROFILES, _built_name(definition, inputs), plain)
    return FeatureBuild(definition, commit.part, None, commit.changed)


def _history(store: ModelStore, definition: str, partition: str) -> list[Profile]:
    earlier = [part for key, part in store.features(definition).parts().items() if key < partition]
    profiles = [stored_profile(store, definition, part.partition, part.digest) for part in earlier[-HISTORY:]]
    return [found for found in profiles if found is not None]


def _importance(store: ModelStore) -> dict[str, float] | None:
    """Return the champion's share of gain of each of its features; None without a champion."""
    champion = store.champion()
    if champion is None:
        return None
    version = store.records.get(ModelVersion, champion.version)
    return dict.fromkeys(version.features, 0.0) | dict(version.importance)


def _held(store: ModelStore, model: Model, inputs: Inputs) -> Hold | None:
    name = _hold_name(model, inputs)
    return store.records.get(Hold, name) if store.records.has(Hold.kind, name) else None


def _hold(store: ModelStore, model: Model, inputs: Inputs, definition: str, failed: Sequence[dict[str, Any]]) -> Hold:
    sentences = "; ".join(str(finding["sentence"]) for finding in failed if finding["holds"])
    hold = Hold(
        partition=inputs.partition,
        batch_digest=inputs.batch.digest,
        definition=definition,
        findings=tuple(failed),
        message=f"Held, nothing announced: {sentences}. Next: deliver a corrected file for {inputs.partition}.",
    )
    name = _hold_name(model, inputs)
    store.records.claim(Hold.kind, name, hold.to_json())
    return store.records.get(Hold, name)


def _hold_name(model: Model, inputs: Inputs) -> str:
    settings = model.integrity.model_dump(mode="json")
    return f"{inputs.partition}-{digest_of([inputs.digest, settings])[:16]}"


def _built_name(definition: str, inputs: Inputs) -> str:
    return f"{definition[:16]}/{inputs.partition}-{inputs.digest[:16]}"
