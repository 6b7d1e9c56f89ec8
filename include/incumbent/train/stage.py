"""The train stage: a snapshot in, a stored model version out."""

from __future__ import annotations

import importlib.metadata
import logging
import platform

import incumbent
from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost import importance, parse, seal
from incumbent.features.rows import as_snapped, label_rows
from incumbent.records import ModelVersion, Part, Snapshot, Training
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Progress
from incumbent.train.choose import choose_device, choose_launcher, count_gpus
from incumbent.train.fit import Fitted
from incumbent.train.guards import check_labels
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)


def train_candidate(
    store: ModelStore, model: Model, snapshot: Snapshot, request_id: str, settings: Settings
) -> Training:
    """Fit the candidate of a request and store it, or find it stored.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: The pinned training set.
        request_id: Retrain request id; names the training record.
        settings: Where a local Ray head is or an existing cluster answers.

    Raises:
        TrainingError: The training cannot succeed with these rows and parameters.
    """
    if store.records.has(Training.kind, request_id):
        return store.records.get(Training, request_id)
    rows = sum(part["rows"] for part in snapshot.features)
    _check_before(store, model, snapshot)
    launcher = choose_launcher(model.train, rows)
    work = Work(model, snapshot, choose_device(model.train.device, count_gpus()))
    if launcher == "ray":
        from incumbent.train.ray_job import run_on_ray

        fitted, encoder, train_rows = run_on_ray(store, work, settings)
    else:
        fitted, encoder, train_rows = work.run(store, log_progress)
    version = _store_version(store, work, fitted, encoder, train_rows)
    training = Training(
        request=request_id,
        snapshot=snapshot.id,
        version=version.digest,
        launcher=launcher,
        workers=model.train.workers if launcher == "ray" else 1,
        device=work.device,
        rounds=fitted.rounds,
        checkpoints=fitted.checkpoints,
        resumed_from=fitted.resumed_from,
        exact_resume=work.device == "cpu",  # nobody has measured it on CUDA
    )
    store.records.put(request_id, training)
    work.checkpoints(store).clear()
    LOG.info("version %s fitted: %d rounds on %d rows", version.digest[:16], fitted.rounds, train_rows)
    return training


def log_progress(progress: Progress) -> None:
    """Write a line for people who watch the task."""
    LOG.info("round %d of %d, %d rows", progress.round, progress.rounds, progress.rows)


def _check_before(store: ModelStore, model: Model, snapshot: Snapshot) -> None:
    """Refuse hopeless labels here, so that nothing is started on Ray for them."""
    import numpy as np

    labels = label_rows(store, as_snapped(model, snapshot), tuple(Part(**part) for part in snapshot.outcomes))
    check_labels(model, snapshot.partition, np.asarray(labels["label"], dtype=np.float64))


def _store_version(store: ModelStore, work: Work, fitted: Fitted, encoder: Encoder, train_rows: int) -> ModelVersion:
    digest = store.objects.put(seal(fitted.model, encoder, work.snapshot.definition, work.snapshot.id))
    version = ModelVersion(
        digest=digest,
        model=work.model.name,
        estimator=work.model.train.estimator,
        task=work.model.task,
        definition=work.snapshot.definition,
        snapshot=work.snapshot.id,
        features=encoder.features,
        categories=dict(encoder.categories),
        params={**work.model.train.params, "seed": work.model.train.seed, "device": work.device},
        rounds=fitted.rounds,
        train_rows=train_rows,
        train_until=work.snapshot.train_until,
        importance=importance(parse(fitted.model), encoder.features),
        sensitive=work.model.sensitive_in_features,
        code={
            "incumbent": incumbent.__version__,
            "python": platform.python_version(),
            "xgboost": importlib.metadata.version("xgboost"),
            "duckdb": importlib.metadata.version("duckdb"),
        },
    )
    # A second attempt on another release would write other code versions; the first manifest stands.
    store.records.claim(ModelVersion.kind, digest, version.to_json())
    return store.records.get(ModelVersion, digest)
