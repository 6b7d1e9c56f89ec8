"""Who holds the seat after a promotion: rollbacks by a person, at the end of a probation, or on a fault in scoring."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    from incumbent.records import Promotion
    from incumbent.score import ScoreResult
    from incumbent.score.rows import Elsewhere, Predict

LOG = logging.getLogger(__name__)
PINS = "pins"


def roll_back(runtime: Runtime, generation: int, reason: str, run: str) -> dict[str, Any]:
    """Give the seat back to an older generation, once a run; say what the one that lost it has scored.

    A rollout that goes on ends with it: asked for the generation that has the seat, it is all that happens.
    """
    from incumbent.promote import rollback
    from incumbent.rollout import open_plan
    from incumbent_airflow.rollouts import end_rollout

    if plan := open_plan(runtime.store):
        LOG.info("%s", end_rollout(runtime, plan, f"Rollout {plan.id}: sent back, {reason}"))
    return _rolled_back(runtime, rollback(runtime.store, generation, reason, run=run), run)


def end_probation(runtime: Runtime) -> dict[str, Any]:
    """Give the seat back to the previous champion if the evidence of its probation says so, once a promotion.

    Returns:
        `sentence`; and, where the seat was given back and nobody has told so yet, what `roll_back` returns.
    """
    from incumbent_airflow.shadows import probation_of

    store, found = runtime.store, probation_of(runtime)
    if found is None:
        return {"sentence": "There is no champion yet."}
    head = store.ledger()[-1]
    if head.action == "rollback" and head.run == _probation_run(head.previous, digest=True):  # by SCORE, on a fault
        if not store.records.put_plain(PINS, f"told-{head.generation}", {"generation": head.generation}):
            return {"sentence": found.sentence}
        return _rolled_back(runtime, head, _probation_run(head.previous)) | {"sentence": head.reason}
    if not found.rolls_back:
        return {"sentence": found.sentence}
    if not runtime.model.rollback.automatic:
        how = f"roll back to generation {found.previous} with {runtime.model.name}.rollback"
        return {"sentence": f"{found.sentence} rollback.automatic is off: {how}."}
    done = roll_back(runtime, found.previous, found.sentence, _probation_run(found.generation))
    store.records.put_plain(PINS, f"told-{done['generation']}", {"generation": done["generation"]})
    return done | {"sentence": found.sentence}


def score_batch(runtime: Runtime, partition: str, generation: int | None, run: str) -> ScoreResult:
    """Score a partition; what a person ordered for it comes first, and stands then: its inputs are scored.

    A challenger that cannot score its share ends its rollout, and the champion scores that too.

    Raises:
        ModelError: The version cannot score, and is not the champion on probation.
    """
    from incumbent.score.orders import do_orders

    how = _predicting(runtime)
    ordered = [each for each in do_orders(runtime.store, runtime.model, partition, *how) if each.generation]
    result = _scored(runtime, partition, how, generation, run)
    return ordered[-1] if ordered and not result.generation else result  # nobody had the seat on its day


def _predicting(runtime: Runtime) -> tuple[Predict, Elsewhere | None]:
    """Return how rows are predicted here, and how large partitions are, on a cluster."""
    from incumbent.estimators import predictor

    store, workers = runtime.store, runtime.model.score.workers
    if not workers:
        return predictor(store), None
    from incumbent.score.ray_rows import on_ray

    return predictor(store), partial(on_ray, store, runtime.settings, workers)


def _scored(
    runtime: Runtime, partition: str, how: tuple[Predict, Elsewhere | None], generation: int | None, run: str
) -> ScoreResult:
    """Score a partition; a champion on probation that cannot do it loses its seat, and the one before scores."""
    from incumbent.errors import ModelError
    from incumbent.rollout import open_plan
    from incumbent.score import ChallengerFailed, champion_of, score
    from incumbent_airflow.rollouts import end_rollout
    from incumbent_airflow.shadows import probation_of

    store, model, (predict, elsewhere) = runtime.store, runtime.model, how
    try:
        return score(store, model, partition, predict, generation, run, elsewhere)
    except ChallengerFailed as error:
        if plan := open_plan(store):
            LOG.warning("%s", end_rollout(runtime, plan, f"Rollout {plan.id}: sent back, {error.what}: {error.found}."))
        return _scored(runtime, partition, how, generation, run)
    except ModelError as error:
        probation, failed = probation_of(runtime), champion_of(store, model, partition)
        if generation or probation is None or failed is None or not model.rollback.automatic:
            raise
        if not probation.open or failed.generation != probation.generation:
            raise
        reason = f"Generation {probation.generation} cannot score {partition}: {error.what}."
        LOG.warning("%s Generation %d comes back.", reason, probation.previous)
        back = roll_back(runtime, probation.previous, reason, _probation_run(probation.generation))
        return score(store, model, partition, predict, back["generation"], run, elsewhere)


def chosen_generation(runtime: Runtime, generation: int | None, as_of: str | None) -> int | None:
    """Return the generation that a person chose for a scoring, by number or by a day; None if nobody chose.

    Raises:
        ConfigError: Both were chosen, or nobody held the seat then.
    """
    from incumbent.errors import ConfigError
    from incumbent.partitions import moment_or_day
    from incumbent.promote.ledger import champion_at

    if not as_of:
        return generation
    moment = moment_or_day(as_of, runtime.model.timezone)
    entry = champion_at(runtime.store, moment)
    if generation is not None or entry is None:
        raise ConfigError(
            "no champion is chosen by this",
            where=f"champion of {runtime.model.name} as of {as_of}",
            expected="a generation, or a day on which somebody held the seat",
            found="both" if generation is not None else "nobody held it yet",
            next_step=f"incumbent champion show {runtime.model.name}",
        )
    return entry.generation


def score_again(runtime: Runtime, partitions: Iterable[str], generation: int, run: str) -> list[str]:
    """Score partitions anew with a generation, and return those that hold its predictions now."""
    from incumbent.score import score

    (predict, elsewhere), done = _predicting(runtime), []
    for partition in partitions:
        result = score(runtime.store, runtime.model, partition, predict, generation, run, elsewhere)
        LOG.info("%s", result.message)
        done += [partition] if result.generation else []
    return done


def _probation_run(generation: int, *, digest: bool = False) -> str:
    """Return what a rollback at the end of a probation belongs to: the promotion, so that it is taken back once."""
    from incumbent.records import digest_of

    name = f"probation of generation {generation}"
    return digest_of(name)[:16] if digest else name


def _rolled_back(runtime: Runtime, promotion: Promotion, run: str) -> dict[str, Any]:
    """Return what a rollback has done, and what is left of who lost the seat.

    Asked to give the seat to who has it, it does nothing; what versions have scored that lost theirs is told then.
    """
    from incumbent.records import digest_of
    from incumbent.score import scored_by_generation, scored_by_version

    store, generation = runtime.store, promotion.generation
    if promotion.action == "rollback" and promotion.run == digest_of(run)[:16]:
        first = next(entry.generation for entry in store.ledger() if entry.version == promotion.version)
        said = f"The version of generation {first} has the seat again, as generation {generation}."
        who, left = f"generation {promotion.previous}", scored_by_generation(store, promotion.previous)
    else:
        said, who, left = (
            f"Generation {generation} has the seat already: nothing has changed.",
            "versions without it",
            {},
        )
        for version in store.barred():
            left |= scored_by_version(store, version)
    if left:
        said += f" {sum(left.values()):,} rows of {', '.join(sorted(left))} were scored by {who}."
    partition = max(store.predictions.parts(), default=runtime.model.start)
    about = {"generation": generation, "version": promotion.version, "partition": partition}
    return {**about, "affected": left, "message": said}
