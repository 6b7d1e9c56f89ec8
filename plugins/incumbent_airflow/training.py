"""Joins a model's runtime to the train stage: a training that is begun, followed and finished by one task.

Apart from `stages`, for it is the one task that waits for work elsewhere, and tells of it while it waits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from incumbent.embedded.settings import Settings
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.stages import failing, snapshot_of

if TYPE_CHECKING:
    from incumbent.promote import Run
    from incumbent.records import Training
    from incumbent.train.progress import Progress

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Begun:
    """A training that is done, or the Ray job that does it.

    Attributes:
        training: What came out; None while a job runs.
        job: Submission id of the job; empty if there is none.
    """

    training: dict[str, Any] | None
    job: str = ""


def begin_training(runtime: Runtime, request_id: str, origin: str = "fresh") -> Begun:
    """Fit the request's candidate, or find it fitted, or find or submit the job that fits it."""
    from incumbent.cluster.jobs import open_jobs
    from incumbent.evaluate.columns import check_columns
    from incumbent.evaluate.leaks import refuse_leaks
    from incumbent.features.out_of_core import labelled_sample
    from incumbent.promote import open_run
    from incumbent.records import FRESH, ModelVersion
    from incumbent.retrain.requests import get_request
    from incumbent.train.ray_job import submit
    from incumbent.train.stage import find_training, plan_training, store_training

    store, settings = runtime.store, runtime.settings
    with failing(runtime, request_id):
        if (found := find_training(store, request_id, origin)) is not None:
            return Begun(_told(found))
        request = get_request(store, request_id)
        if request.candidate:
            LOG.info("nothing is fitted: version %s is there already", request.candidate[:16])
            rounds = store.records.get(ModelVersion, request.candidate).rounds
            return Begun({"version": request.candidate, "rounds": rounds, "launcher": ""})
        snapshot = snapshot_of(runtime, request_id)
        planned = plan_training(store, runtime.model, snapshot, request_id, origin)
        if origin == FRESH:  # the gate looks at the same rows for all candidates
            batch = store.batches(runtime.model.batch_source).columns()
            check_columns(runtime.model, store.features(snapshot.definition).columns(), batch)
            refuse_leaks(store, runtime.model, request_id, lambda: labelled_sample(store, runtime.model, snapshot))
        run = open_run(store, settings.mlflow_uri, planned.candidate.name, os.environ)
        if planned.launcher == "ray":
            return Begun(None, submit(store, planned.work, open_jobs(store, settings), settings))
        return Begun(_told(store_training(store, planned, planned.work.run(store, watcher(settings, run)), settings)))


def watcher(settings: Settings, run: Run | None) -> Callable[[Progress], None]:
    """Return what tells people how far a fit is: a line in the log, and a point in MLflow while that takes any."""
    from incumbent.promote import log_live
    from incumbent.train.progress import log_progress

    takes = run is not None

    def tell(progress: Progress) -> None:
        nonlocal takes
        log_progress(progress)
        if takes and run is not None and progress.values():
            takes = log_live(settings.mlflow_uri, run, progress.values(), progress.round, os.environ)

    return tell


def mlflow_page(runtime: Runtime, training: str) -> str:
    """Return the address of the run of a training; nothing if MLflow has none."""
    from incumbent.promote import known_run

    run = known_run(runtime.store, training)
    return "" if run is None else run.page(runtime.settings.mlflow_uri)


def finish_training(
    runtime: Runtime, request_id: str, origin: str, job: str, state: str, message: str
) -> dict[str, Any]:
    """Store what a job gave that has ended.

    A job that was lost, or ended without a result, is looked for, and begun again, by the task's next try.
    """
    from incumbent.cluster.jobs import find_jobs
    from incumbent.errors import UnavailableError
    from incumbent.train.ray_job import outcome
    from incumbent.train.stage import find_training, plan_training, store_training

    store = runtime.store
    with failing(runtime, request_id):
        if (found := find_training(store, request_id, origin)) is not None:
            return _told(found)
        jobs = find_jobs(runtime.settings)
        if state == "AWAY":
            raise UnavailableError(
                "the Ray cluster has gone away",
                where=f"job {job} at {jobs.address}",
                expected="an answer within a minute",
                found=message,
                next_step="nothing: the task is tried again, and goes on from the newest checkpoint",
            )
        planned = plan_training(store, runtime.model, snapshot_of(runtime, request_id), request_id, origin)
        result = outcome(store, planned.work, jobs, job, state)
        return _told(store_training(store, planned, result, runtime.settings))


def _told(training: Training) -> dict[str, Any]:
    return {"version": training.version, "rounds": training.rounds, "launcher": training.launcher}
