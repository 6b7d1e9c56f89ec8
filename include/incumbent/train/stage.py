"""The train stage: a snapshot in, a stored model version out."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
from dataclasses import dataclass, replace

import incumbent
from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.estimators.abilities import ABILITIES
from incumbent.records import (
    FRESH,
    RECALIBRATED,
    ModelVersion,
    Search,
    Snapshot,
    Training,
    TrainingCost,
    canonical_json,
    training_name,
)
from incumbent.store import ModelStore
from incumbent.train.candidates import Candidate, candidate_of
from incumbent.train.choose import check_ability, choose_launcher, count_gpus, device_of
from incumbent.train.guards import check_count, check_labels, labels_of
from incumbent.train.order import told_of
from incumbent.train.outcome import Outcome, check_outcome
from incumbent.train.prior import prior_of
from incumbent.train.progress import log_progress
from incumbent.train.provenance import commit_of, packages
from incumbent.train.warm import recalibrating_model, warm_model
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A training that is to be.

    Attributes:
        candidate: Which candidate of which request.
        work: What is fitted.
        launcher: `process` or `ray`.
    """

    candidate: Candidate
    work: Work
    launcher: str


def find_training(store: ModelStore, request: str, origin: str = FRESH) -> Training | None:
    """Return the training of a request's candidate, if it is done."""
    name = training_name(request, origin)
    return store.records.get(Training, name) if store.records.has(Training.kind, name) else None


def plan_training(store: ModelStore, model: Model, snapshot: Snapshot, request: str, origin: str = FRESH) -> Planned:
    """Say where a request's candidate is to be fitted, once it is known that it can be.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: The pinned training set.
        request: Retrain request id.
        origin: Which of its candidates; see `incumbent.train.candidates`.

    Raises:
        TrainingError: The training cannot succeed with these rows, or on this machine.
    """
    check_ability(model.train)
    rows = sum(part["rows"] for part in snapshot.features)
    launcher = choose_launcher(model.train, rows)
    on_cluster = launcher == "ray"
    if on_cluster:  # so that nothing is started on Ray for hopeless labels; a process looks at them anyway
        labels = labels_of(store, model, snapshot)
        check_count(model, snapshot.partition, labels.rows)
        check_labels(model, snapshot.partition, labels)
    else:
        device_of(model.train, count_gpus())
    candidate = candidate_of(store, request, origin)
    if candidate.base:
        going_on = recalibrating_model if candidate.origin == RECALIBRATED else warm_model
        model = going_on(model, store.records.get(ModelVersion, candidate.base))
    workers, prior = model.train.workers if on_cluster else 1, prior_of(store, model, request)
    return Planned(candidate, Work(model, snapshot, workers, prior, candidate.base, candidate.since), launcher)


def train_candidate(
    store: ModelStore, model: Model, snapshot: Snapshot, request: str, settings: Settings, origin: str = FRESH
) -> Training:
    """Fit the candidate of a request and store it, or find it stored; wait until then.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: The pinned training set.
        request: Retrain request id.
        origin: Which of its candidates.
        settings: Where a local Ray head is or an existing cluster answers.

    Raises:
        TrainingError: The training cannot succeed with these rows and parameters.
        UnavailableError: Ray, or room on a disk, is missing.
    """
    if (found := find_training(store, request, origin)) is not None:
        return found
    planned = plan_training(store, model, snapshot, request, origin)
    if planned.launcher == "ray":
        from incumbent.train.ray_job import run_on_ray

        return store_training(store, planned, run_on_ray(store, planned.work, settings), settings)
    return store_training(store, planned, planned.work.run(store, log_progress), settings)


def store_training(store: ModelStore, planned: Planned, outcome: Outcome, settings: Settings) -> Training:
    """Write down the version that a training gave, and that the request has it.

    Raises:
        TrainingError: What came out is no model that anybody could use.
    """
    found = store.records.get(Search, outcome.search) if outcome.search else None
    work = planned.work if found is None else planned.work.after(found)
    check_outcome(work.model, outcome)
    version = _version(store, work, outcome, found, settings, planned.work.functions)
    if planned.candidate.origin == RECALIBRATED:  # its trees are its base's, and so is what they were fitted with
        version = replace(version, params=store.records.get(ModelVersion, work.base).params, recalibrated=True)
    # A second attempt on another release would write other code versions; the first manifest stands.
    store.records.claim(ModelVersion.kind, version.digest, version.to_json())
    name = planned.candidate.name
    training = Training(
        request=planned.candidate.request,
        snapshot=planned.work.snapshot.id,
        version=version.digest,
        launcher=planned.launcher,
        workers=outcome.workers,
        device=outcome.device,
        rounds=outcome.rounds,
        checkpoints=outcome.checkpoints,
        resumed_from=outcome.resumed_from,
        exact_resume=outcome.exact,
        layout=outcome.layout,
        metric=outcome.metric,
        scores=outcome.scores,
        search=outcome.search,
        origin=planned.candidate.origin,
    )
    store.records.claim(TrainingCost.kind, name, _cost(name, outcome, settings).to_json())
    # Of two attempts at once the first stands: the other resumed elsewhere, and gave the same model.
    stands = Training.from_json(store.records.claim(Training.kind, name, training.to_json()))
    for done in (planned.work, work):
        done.checkpoints(store).clear()
    LOG.info("version %s fitted: %d rounds on %d rows", stands.version[:16], stands.rounds, outcome.rows)
    return stands


def _version(
    store: ModelStore, work: Work, outcome: Outcome, found: Search | None, settings: Settings, functions: str
) -> ModelVersion:
    """Return the manifest; of a search it says which of the parameters are from there."""
    searched = {} if found is None else {"searched": sorted(found.params)}
    commit, script = commit_of(settings.models), work.model.script
    library = ABILITIES[work.model.train.estimator].library
    return ModelVersion(
        digest=outcome.version,
        model=work.model.name,
        estimator=work.model.train.estimator,
        task=work.model.task,
        definition=work.snapshot.definition,
        snapshot=work.snapshot.id,
        features=tuple(outcome.features),
        categories={name: tuple(levels) for name, levels in outcome.categories.items()},
        params={**work.model.train.params, "seed": work.model.train.seed, "device": outcome.device, **searched},
        rounds=outcome.rounds,
        train_rows=outcome.rows,
        train_until=work.snapshot.train_until,
        importance=outcome.importance,
        sensitive=work.model.sensitive_in_features,
        script=store.objects.put(script.encode()) if script else "",
        base=work.base,
        since=work.since,
        functions=store.objects.put(functions.encode()) if functions else "",
        order=store.objects.put(canonical_json(told_of(work))),
        classes=work.snapshot.classes,
        code={
            "incumbent": incumbent.__version__,
            "python": platform.python_version(),
            library: importlib.metadata.version(library),
            "duckdb": importlib.metadata.version("duckdb"),
            "packages": store.objects.put(packages()),
            **({"commit": commit} if commit else {}),
        },
    )


def _cost(name: str, outcome: Outcome, settings: Settings) -> TrainingCost:
    """Return what the last attempt held, and what that costs."""
    seconds = outcome.seconds["all"]
    cores, gpus = seconds * outcome.cores, seconds * outcome.workers * (outcome.device == "cuda")
    prices = (settings.core_hour_price, settings.gpu_hour_price)
    price = None if prices == (None, None) else (cores * (prices[0] or 0) + gpus * (prices[1] or 0)) / 3600
    return TrainingCost(name, outcome.seconds, cores, gpus, price, outcome.hardware)
