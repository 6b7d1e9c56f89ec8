"""The features stage: integrity tests first, then features, and only then is anything announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import FeatureError, StoreError
from incumbent.features.columns import RESERVED
from incumbent.features.compute import compute, computed
from incumbent.features.definition import stored_text
from incumbent.features.hindsight import check_hindsight
from incumbent.features.holds import hold, is_released, known_hold
from incumbent.features.inputs import PROFILES, Inputs, delivered, inputs_with, missing_sources, pinned_inputs
from incumbent.features.integrity import findings
from incumbent.features.profile import Counting, Profile
from incumbent.features.shared import Made, offer, take_over
from incumbent.records import Hold, ModelVersion, Part, canonical_json
from incumbent.store import ModelStore
from incumbent.store.log import PARTITION

HISTORY = 60  # newest earlier partitions that integrity is judged against


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


def serving_definition(store: ModelStore, folder: Callable[[], str]) -> str:
    """Return the definition that batches are judged and scored with: the champion's, before it the folder's.

    The folder's is asked for only then: one that is refused does not stop the champion.

    SCORE works with the champion's definition and the next training with the folder's: while a
    changed definition is a challenger, both live side by side.
    """
    champion = store.champion()
    return folder() if champion is None else store.records.get(ModelVersion, champion.version).definition


def build(store: ModelStore, model: Model, definition: str, partition: str) -> FeatureBuild:
    """Compute, test and commit the features of one partition under a stored definition.

    A batch is judged once, by the first definition that is built from it: a finding on an important
    column holds it. Nothing is committed then, the hold is recorded with its reasons, and the caller
    announces nothing; it stands for every definition, whoever is champion meanwhile, until the batch is
    corrected or released, or the tolerances are changed. A batch that was let through stays so: judged again beside
    another history, or by a definition with new columns, a month that was scored long ago could be held.
    """
    inputs = pinned_inputs(store, model, partition)
    if part := committed(store, definition, inputs):
        return FeatureBuild(definition, part, None, changed=False)
    accepted = is_accepted(store, inputs) or is_released(store, model.batch_source, inputs.batch)
    if not accepted and (known := known_hold(store, model, inputs)):
        return FeatureBuild(definition, None, known, changed=False)
    text = stored_text(store, definition)
    with _made(store, model, definition, text, inputs) as made:
        if made.is_own and not store.features(definition).parts():  # once for a definition: it takes as long again
            check_hindsight(store, model, text, inputs, made.staged.file)
        if not accepted:
            history = _history(store, definition, partition)
            failed = findings(
                made.profile, list(history.values()), _importance(store), model.integrity, list(history)
            )  # fmt: skip
            if any(finding["holds"] for finding in failed):
                return FeatureBuild(definition, None, hold(store, model, inputs, definition, failed), changed=False)
        return _commit(store, model, definition, inputs, made)


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
        built = build(store, model, definition, partition)
        done += [partition] if built.part else []
    return done


def committed(store: ModelStore, definition: str, inputs: Inputs) -> Part | None:
    """Return a definition's features of a partition if they were made from exactly these inputs."""
    part = store.features(definition).part(inputs.partition)
    return part if _was_made_from(store, definition, inputs, part) else None


def rows_beside(store: ModelStore, model: Model, definition: str, other: str, part: Part) -> pa.Table:
    """Return a definition's rows made from what another definition's content was made from.

    Two contenders are judged on the same facts: what is there now may be made of a delivery that was
    corrected since.

    Args:
        store: The model's store.
        model: Its configuration.
        definition: Whose rows are asked for.
        other: Whose content is known.
        part: That content, current or past.

    Raises:
        StoreError: Nothing says what the content was made from.
    """
    names = store.records.names(PROFILES, f"{other[:16]}/{part.partition}-")
    built = [store.records.get_plain(PROFILES, name) for name in names]
    inputs = inputs_with(
        store, model, part.partition, {plain["inputs"] for plain in built if plain["features"] == part.digest}
    )
    if inputs is None:
        raise StoreError(
            "nothing says what these features were made from",
            where=f"definition {other[:16]}, partition {part.partition}, content {part.digest[:16]}",
            expected="a profile record and a pin of its inputs",
            found="none",
            next_step="run `incumbent store check`",
        )
    name = built_name(definition, inputs)
    if store.records.has(PROFILES, name):  # one row for each of the batch, under every definition
        made = Part(part.partition, store.records.get_plain(PROFILES, name)["features"], part.rows)
        return store.features(definition).read_parts([made]).drop_columns([PARTITION])
    return compute(store, model, stored_text(store, definition), inputs)


def feature_columns(model: Model, rows: pa.Table | pa.RecordBatchReader) -> list[str]:
    """Return the columns of feature rows that are features: no key, no time, no partition."""
    reserved = {*model.keys, model.time, *RESERVED}
    return [name for name in rows.schema.names if name not in reserved]


def stored_profile(store: ModelStore, definition: str, partition: str, features: str) -> Profile | None:
    """Return the profile that was stored with a feature partition's content, or None."""
    for name in store.records.names(PROFILES, f"{definition[:16]}/{partition}-"):
        plain = store.records.get_plain(PROFILES, name)
        if plain["features"] == features:
            return Profile.from_json(json.loads(store.objects.get(plain["profile"])))
    return None


def _was_made_from(store: ModelStore, definition: str, inputs: Inputs, part: Part | None) -> bool:
    name = built_name(definition, inputs)
    if part is None or not store.records.has(PROFILES, name):
        return False
    return bool(store.records.get_plain(PROFILES, name)["features"] == part.digest)


def is_accepted(store: ModelStore, inputs: Inputs) -> bool:
    """Return whether any definition was built from these inputs: the batch was let through."""
    return any(name.endswith(f"/{_of(inputs)}") for name in store.records.names(PROFILES))


def build_from(store: ModelStore, model: Model, definition: str, inputs: Inputs) -> Part:
    """Compute what a definition gives for past inputs, and write it down beside what the table holds now.

    For a training on what was known at a moment. That the batch was let through is for the caller to say.
    """
    with _made(store, model, definition, stored_text(store, definition), inputs) as made:
        return _write_down(store, definition, inputs, made)[0]


@contextmanager
def _made(store: ModelStore, model: Model, definition: str, text: str, inputs: Inputs) -> Iterator[Made]:
    """Give the rows of a partition: those of another model, else computed in one pass, which writes and counts them."""
    with ExitStack() as staged:
        made = take_over(staged, store, model, definition, inputs)
        yield made or staged.enter_context(_counted(store, model, definition, text, inputs))


@contextmanager
def _counted(store: ModelStore, model: Model, definition: str, text: str, inputs: Inputs) -> Iterator[Made]:
    with computed(store, model, text, inputs) as rows, ThreadPoolExecutor(max_workers=1) as beside:
        counting = Counting(rows.schema, feature_columns(model, rows))

        def counted() -> Iterator[pa.RecordBatch]:
            adding: Future[None] | None = None
            for batch in rows:  # counted while it is written
                if adding is not None:
                    adding.result()
                adding = beside.submit(counting.add, batch)
                yield batch
            if adding is not None:
                adding.result()

        reader = pa.RecordBatchReader.from_batches(rows.schema, counted())
        with store.features(definition).staged(inputs.partition, reader) as staged:
            yield Made(staged, counting.profile())


def _commit(store: ModelStore, model: Model, definition: str, inputs: Inputs, made: Made) -> FeatureBuild:
    """Write down what the inputs gave, then let readers see it: killed between, the next build finds the same.

    Other models are told first: once it is committed the next build has nothing to do, and would never tell them.
    """
    part, profile = _write_down(store, definition, inputs, made)
    if made.is_own:
        offer(store, model, definition, inputs, part, profile)
    changed = store.features(definition).commit(part).changed
    return FeatureBuild(definition, part, None, changed)


def _write_down(store: ModelStore, definition: str, inputs: Inputs, made: Made) -> tuple[Part, str]:
    """Return the content and the digest of its profile."""
    part, name = made.staged.part, built_name(definition, inputs)
    store.features(definition).publish(made.staged)
    plain = {
        "inputs": inputs.digest,
        "batch": inputs.batch.digest,
        "features": part.digest,
        "profile": store.objects.put(canonical_json(made.profile.to_json())),
    }
    if store.records.claim(PROFILES, name, plain)["features"] != part.digest:
        raise FeatureError(
            "the feature definition gives other rows from the same inputs",
            where=f"definition {definition[:16]}, partition {inputs.partition}",
            expected=f"the rows of its first build, {store.records.get_plain(PROFILES, name)['features'][:16]}",
            found=part.digest[:16],
            next_step="nothing was replaced; take random(), now() and the like out of features.sql, and of features of "
            "model.py what depends on chance, the clock or the order of a set",
        )
    return part, str(plain["profile"])


def _history(store: ModelStore, definition: str, partition: str) -> dict[str, Profile]:
    parts = store.features(definition).parts()
    earlier = [parts[key] for key in sorted(parts) if key < partition and parts[key].rows]
    found = {
        each.partition: stored_profile(store, definition, each.partition, each.digest) for each in earlier[-HISTORY:]
    }
    return {key: profile for key, profile in found.items() if profile is not None}


def _importance(store: ModelStore) -> dict[str, float] | None:
    """Return the champion's share of gain of each of its features; None without a champion."""
    champion = store.champion()
    if champion is None:
        return None
    version = store.records.get(ModelVersion, champion.version)
    return dict.fromkeys(version.features, 0.0) | dict(version.importance)


def built_name(definition: str, inputs: Inputs) -> str:
    """Return the name of the profile record of what a definition gave for some inputs."""
    return f"{definition[:16]}/{_of(inputs)}"


def _of(inputs: Inputs) -> str:
    return f"{inputs.partition}-{inputs.digest[:16]}"
