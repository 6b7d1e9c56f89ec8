"""The features stage: integrity tests first, then features, and only then is anything announced."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from incumbent.config import Model
from incumbent.features.compute import compute, input_digest, input_parts, stored_sql
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


def build(store: ModelStore, model: Model, definition: str, partition: str) -> FeatureBuild:
    """Compute, test and commit the features of one partition under one stored definition.

    A finding on an important column holds the batch: nothing is committed, the hold is recorded
    with its reasons, and the caller announces nothing.
    """
    table = store.features(definition)
    parts = input_parts(store, model, partition)
    batch = parts[model.batch_source][0].digest
    rows = compute(store, model, stored_sql(store, definition), partition, parts)
    found = profile(rows, feature_columns(model, rows))
    history = _history(store, definition, partition)
    failed = findings(found, history, _importance(store), model.integrity)
    if any(finding["holds"] for finding in failed):
        return FeatureBuild(
            definition, None, _hold(store, partition, batch, input_digest(parts), definition, failed), changed=False
        )
    commit = table.replace(partition, rows)
    digest = store.objects.put(canonical_json(found.to_json()))
    store.records.put_plain(PROFILES, _profile_name(definition, commit.part), {"object": digest, "batch": batch})
    return FeatureBuild(definition, commit.part, None, commit.changed)


def build_window(store: ModelStore, model: Model, definition: str, until: str) -> list[str]:
    """Compute the features that a definition still lacks up to a partition; return their keys.

    A changed definition becomes a challenger over the whole past, so its training and its gate
    read rows that were made by itself. Held batches stay out.
    """
    have = store.features(definition).parts()
    done = []
    for partition in store.batches(model.batch_source).parts():
        if partition <= until and partition not in have:
            done += [partition] if build(store, model, definition, partition).part else []
    return done


def feature_columns(model: Model, rows: pa.Table) -> list[str]:
    """Return the columns of feature rows that are features: no key, no time, no partition."""
    reserved = {*model.keys, model.time, "partition", "label", "local_date"}
    return [name for name in rows.column_names if name not in reserved]


def stored_profile(store: ModelStore, definition: str, part: Part) -> Profile | None:
    """Return the profile that was stored with a feature partition, or None."""
    name = _profile_name(definition, part)
    if not store.records.has(PROFILES, name):
        return None
    return Profile.from_json(json.loads(store.objects.get(store.records.get_plain(PROFILES, name)["object"])))


def committed(store: ModelStore, definition: str, partition: str) -> Part | None:
    """Return the features of a partition if they were committed together with their profile."""
    part = store.features(definition).part(partition)
    return part if part is not None and store.records.has(PROFILES, _profile_name(definition, part)) else None


def built_from(store: ModelStore, definition: str, part: Part) -> str:
    """Return the digest of the batch that a feature partition was computed from."""
    return str(store.records.get_plain(PROFILES, _profile_name(definition, part))["batch"])


def _history(store: ModelStore, definition: str, partition: str) -> list[Profile]:
    earlier = [part for key, part in store.features(definition).parts().items() if key < partition]
    profiles = [stored_profile(store, definition, part) for part in earlier[-HISTORY:]]
    return [found for found in profiles if found is not None]


def _importance(store: ModelStore) -> dict[str, float] | None:
    champion = store.champion()
    return None if champion is None else dict(store.records.get(ModelVersion, champion.version).importance)


def _hold(
    store: ModelStore, partition: str, batch: str, inputs: str, definition: str, failed: list[dict[str, object]]
) -> Hold:
    sentences = "; ".join(str(finding["sentence"]) for finding in failed if finding["holds"])
    hold = Hold(
        partition=partition,
        batch_digest=batch,
        definition=definition,
        findings=tuple(failed),
        message=f"Held, nothing announced: {sentences}. Next: deliver a corrected file for {partition}.",
    )
    store.records.put(f"{partition}-{digest_of([inputs, definition])[:16]}", hold)
    return hold


def _profile_name(definition: str, part: Part) -> str:
    return f"{definition[:16]}/{part.partition}-{part.digest[:16]}"
