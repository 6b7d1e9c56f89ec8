"""Score one partition with the champion that was pinned for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.config import LOCAL_DATE, Model
from incumbent.errors import ModelError, PipelineError
from incumbent.features.build import build, committed
from incumbent.features.inputs import Inputs, pinned_inputs
from incumbent.features.rows import with_local_date
from incumbent.partitions import Grain
from incumbent.records import Hold, ModelVersion, Part, Promotion, digest_of
from incumbent.rollout import Plan, assigned, found_in, open_plan, state_of
from incumbent.rollout.assignment import units
from incumbent.score.acts import begin, is_last
from incumbent.score.rows import Chosen, Elsewhere, Predict, Scored, from_elsewhere, in_process
from incumbent.score.write import CHALLENGER, CHAMPION, UNSCORED, MadeBy, write
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)
PINS = "pins"
SMALL_ROWS = 2_000_000  # fewer are predicted here before a job of a cluster has started
Source = Callable[[ModelVersion, Part, Chosen | None], Iterator[Scored]]


class ChallengerFailed(ModelError):
    """The challenger of a rollout cannot predict its share; the champion can still be asked for all rows."""


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring did.

    Attributes:
        partition: Partition key.
        generation: Generation that the rows say; 0 when nothing was scored.
        version: Version digest.
        rows: Rows in the predictions partition.
        changed: Whether this call committed anything.
        message: One sentence for a person.
    """

    partition: str
    generation: int
    version: str
    rows: int
    changed: bool
    message: str


def score(
    store: ModelStore,
    model: Model,
    partition: str,
    predict: Predict,
    generation: int | None = None,
    run: str = "",
    elsewhere: Elsewhere | None = None,
) -> ScoreResult:
    """Replace one predictions partition by the pinned champion's predictions.

    The champion is resolved once for these inputs and pinned, so a run that is cleared next spring
    scores with last spring's champion. Inputs that were scored already are left as they are unless
    a generation is named: scoring again with another champion is an explicit act. Such a run acts once:
    cleared, it finds what it did, and leaves alone what other runs and corrections have scored since.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        predict: Verified prediction of a version; see `incumbent.estimators.Estimator.predict`.
        generation: Score again with this generation's version.
        run: Airflow run id; empty for a call that belongs to no run.
        elsewhere: Predicts large partitions with the workers of a cluster; see `incumbent.score.ray_rows`.

    Raises:
        ModelError: The generation is not in the ledger, or the version cannot score too many of the rows.
        FeatureError: A source has nothing for this partition, or the version's features cannot be computed.
    """

    def source(version: ModelVersion, part: Part, chosen: Chosen | None) -> Iterator[Scored]:
        if elsewhere is None or part.rows < SMALL_ROWS:
            return in_process(store.features(version.definition), model, version, part, predict, chosen)
        return from_elsewhere(elsewhere, model, version, part, chosen)

    if not run or generation is None:
        return _score(store, model, partition, source, generation, run)
    pin = f"score-{partition}-run-{digest_of(run)[:16]}"
    if store.records.has(PINS, pin):
        return _done_by_run(partition, store.records.get_plain(PINS, pin))
    result = _score(store, model, partition, source, generation, run)
    did = {"generation": result.generation, "version": result.version, "rows": result.rows}
    store.records.claim(PINS, pin, did)  # last: a run that is killed before goes on
    return result


def champion_of(store: ModelStore, model: Model, partition: str) -> Promotion | None:
    """Return the champion that is pinned for what a partition holds now, and pin it if nobody has."""
    return _of_its_day(store, pinned_inputs(store, model, partition), model.grain)


def _done_by_run(partition: str, did: Mapping[str, Any]) -> ScoreResult:
    what = f"scored {partition} with generation {did['generation']}" if did["generation"] else f"left {partition} alone"
    message = f"This run {what} already; start a new run to score it again."
    return ScoreResult(partition, did["generation"], did["version"], did["rows"], changed=False, message=message)


def _score(
    store: ModelStore, model: Model, partition: str, source: Source, generation: int | None, run: str
) -> ScoreResult:
    inputs = pinned_inputs(store, model, partition)
    promotion = _of_its_day(store, inputs, model.grain) if generation is None else _named(store, generation)
    if promotion is None:
        message = "There was no champion when this came: nothing is scored. To score it now, name a generation."
        return ScoreResult(partition, 0, "", 0, changed=False, message=message)
    if generation is None and (held := _scored(store, inputs, promotion)):
        return held
    act = None if generation is None else begin(store, partition, run or token_hex(8), inputs.digest)
    version = store.records.get(ModelVersion, promotion.version)
    features = _features(store, model, version, inputs)
    if isinstance(features, Hold):
        return ScoreResult(partition, 0, version.digest, 0, changed=False, message=features.message)

    def still() -> bool:
        if pinned_inputs(store, model, partition) != inputs:
            return False
        return _scored(store, inputs, promotion) is None if act is None else is_last(store, act)

    rollout = None if generation else _rollout(store, inputs)
    rows = _rows(store, model, promotion, version, features, inputs.batch.digest, source, rollout)
    done = write(store, rows, features, model.score.max_aside, still, model.score.interval)
    if done is None:
        message = f"{partition} was corrected, or scored by another run, while this one was at work: it wrote nothing."
        return ScoreResult(partition, 0, version.digest, 0, changed=False, message=message)
    said = f"; {done.aside} that cannot be scored are in `{UNSCORED}`" if done.aside else ""
    message = f"{done.part.rows} rows of {partition} scored by generation {promotion.generation}{said}."
    LOG.info("%s", message)
    return ScoreResult(partition, promotion.generation, version.digest, done.part.rows, done.changed, message)


def _features(store: ModelStore, model: Model, version: ModelVersion, inputs: Inputs) -> Part | Hold:
    """Return a version's features, made now if FEATURES ran before its definition was asked for."""
    if found := committed(store, version.definition, inputs):
        return found
    built = build(store, model, version.definition, inputs.partition)
    return built.part or cast(Hold, built.hold)


def _rows(
    store: ModelStore,
    model: Model,
    promotion: Promotion,
    version: ModelVersion,
    features: Part,
    batch: str,
    source: Source,
    rollout: tuple[Plan, float] | None,
) -> Iterator[tuple[MadeBy, Scored]]:
    """Yield the champion's rows, then those that a rollout deals to its challenger."""

    def by(who: ModelVersion, part: Part, variant: str, chosen: Chosen | None) -> Iterator[tuple[MadeBy, Scored]]:
        made = MadeBy(promotion.generation, who.digest, batch, who.definition, part.digest, variant)
        for each in source(who, part, chosen):
            yield made, each

    if rollout is None:
        yield from by(version, features, CHAMPION, None)
        return
    plan, share = rollout

    def dealt(rows: pa.Table) -> npt.NDArray[np.bool_]:
        known = with_local_date(model, rows) if LOCAL_DATE in plan.unit else rows
        return assigned(units(known, plan.unit), plan.id, share, plan.exclude)

    needs = tuple(name for name in plan.unit if name != LOCAL_DATE)
    yield from by(version, features, CHAMPION, Chosen(lambda rows: ~dealt(rows), needs))
    try:
        other = store.records.get(ModelVersion, plan.version)
        theirs = _features(store, model, other, pinned_inputs(store, model, features.partition))
        yield from by(other, cast(Part, theirs), CHALLENGER, Chosen(dealt, needs))
    except Exception as error:
        raise ChallengerFailed(
            "the challenger of a rollout cannot score",
            where=f"rollout {plan.id}, partition {features.partition}",
            found=error.what if isinstance(error, PipelineError) else error,
            next_step="nothing: it is sent back, and the champion scores all rows",
        ) from error


def _rollout(store: ModelStore, inputs: Inputs) -> tuple[Plan, float] | None:
    """Return the rollout that is pinned for some inputs with its share, while it goes on and publishes anything."""
    pin = store.records.get_plain(PINS, _pin_name(inputs))
    plan, share = open_plan(store), float(pin.get("share", 0))
    return (plan, share) if plan is not None and share and plan.id == pin["rollout"] else None


def _scored(store: ModelStore, inputs: Inputs, promotion: Promotion) -> ScoreResult | None:
    """Return what the predictions table holds if it was scored from exactly these inputs."""
    part = store.predictions.part(inputs.partition)
    if part is None:
        return None
    if not part.rows:  # nothing says what it was made from
        definition = store.records.get(ModelVersion, promotion.version).definition
        features = committed(store, definition, inputs)
        if features is None or features.rows:
            return None
        message = "There is no row to score: the batch is empty, or every row of it was erased."
        return ScoreResult(inputs.partition, 0, "", 0, changed=False, message=message)
    columns = ["generation", "version", "definition", "features_digest", "batch_digest"]
    first = store.predictions.read([inputs.partition], columns).slice(0, 1).to_pylist()[0]
    features = committed(store, first["definition"], inputs)
    # A corrected delivery may change no feature: its rows still say which delivery they are of.
    if features is None or (features.digest, inputs.batch.digest) != (first["features_digest"], first["batch_digest"]):
        return None
    message = f"These inputs are scored already ({part.rows} rows); name a generation to score them again."
    return ScoreResult(
        inputs.partition, first["generation"], first["version"], part.rows, changed=False, message=message
    )


def _named(store: ModelStore, generation: int) -> Promotion:
    ledger = {promotion.generation: promotion for promotion in store.ledger()}
    if generation not in ledger:
        raise ModelError(
            "no such generation",
            where=f"ledger of {store.name}",
            expected=f"one of {sorted(ledger)}",
            found=generation,
            next_step="name a generation of the ledger",
        )
    return ledger[generation]


def _of_its_day(store: ModelStore, inputs: Inputs, grain: Grain) -> Promotion | None:
    """Return the champion that was pinned for these inputs; the first run pins the champion of its day.

    That there was none is pinned too: a cleared run must not score what it left alone.
    """
    champion = store.champion()
    pin: dict[str, Any] = {"generation": 0 if champion is None else champion.generation, "inputs": inputs.digest}
    plan = open_plan(store)
    if plan is not None and inputs.partition > plan.after:
        pin |= {"rollout": plan.id, "share": state_of(plan, found_in(store, plan), grain).share}
    stands = store.records.claim(PINS, _pin_name(inputs), pin)
    return store.promotion(stands["generation"]) if stands["generation"] else None


def _pin_name(inputs: Inputs) -> str:
    return f"score-{inputs.partition}-{inputs.digest[:16]}"
