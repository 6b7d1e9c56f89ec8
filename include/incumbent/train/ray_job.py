"""Fit as a Ray job: submitted once under a name of its own, found again by whoever comes back.

The submission id is the digest of the work, so a task that was killed and retried reattaches to its running job; a
job that was killed goes on from its newest verified checkpoint. Nobody has to watch a job for it to go on.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from incumbent.cluster.failure import check_failure, failure_in
from incumbent.cluster.jobs import check_not_gone, open_jobs, submit_once
from incumbent.cluster.jobs_api import RUNNING, SUCCEEDED, JobsApi
from incumbent.embedded.settings import Settings
from incumbent.errors import PipelineError, TrainingError
from incumbent.store import ModelStore
from incumbent.train.order import write_order
from incumbent.train.outcome import Outcome
from incumbent.train.progress import Progress, log_progress
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)
POLL_S = 0.5
RESULT = "result.json"
PROGRESS = "incumbent.progress "


@dataclass(frozen=True)
class Watched:
    """What can be seen of a job.

    Attributes:
        state: As Ray calls it; `LOST` if the cluster does not know the job.
        progress: The last one that was told, if any.
    """

    state: str
    progress: Progress | None


def run_on_ray(
    store: ModelStore, work: Work, settings: Settings, tell: Callable[[Progress], None] = log_progress
) -> Outcome:
    """Fit on an existing cluster, or on the local head; wait for the end, and return the outcome.

    Raises:
        TrainingError: The job failed for good.
        UnavailableError: The cluster does not answer, or has no room.
    """
    jobs = open_jobs(store, settings)
    job = submit(store, work, jobs, settings)
    last = None
    while (seen := watch(jobs, job)).state in RUNNING:
        if seen.progress is not None and seen.progress != last:
            last = seen.progress
            tell(last)
        time.sleep(POLL_S)
    return outcome(store, work, jobs, job, seen.state)


def submit(store: ModelStore, work: Work, jobs: JobsApi, settings: Settings) -> str:
    """Return the job of a work: the one that runs or has succeeded, else a new one.

    Raises:
        TrainingError: The cluster has another Ray.
        UnavailableError: The cluster does not answer.
    """

    def order() -> str:
        work.checkpoints(store).forget(RESULT)
        return f"{shlex.quote(settings.ray_python)} -m incumbent.train.job {shlex.quote(write_order(store, work))}"

    about = {"model": work.model.name, "snapshot": work.snapshot.id, "work": work.id}
    return submit_once(jobs, work.id, is_done(store, work), order, about)


def watch(jobs: JobsApi, job: str) -> Watched:
    """Look at a job once."""
    told = [line for line in jobs.log(job).splitlines() if line.startswith(PROGRESS)]
    progress = Progress.from_json(told[-1].removeprefix(PROGRESS)) if told else None
    return Watched(jobs.state(job), progress)


def outcome(store: ModelStore, work: Work, jobs: JobsApi, job: str, state: str) -> Outcome:
    """Return what a job that has ended gave.

    Raises:
        TrainingError: It failed for good.
        UnavailableError: It is worth another attempt.
    """
    result = work.checkpoints(store).said(RESULT)
    if state == SUCCEEDED:
        if result is not None:
            check_failure(result)  # as an earlier release wrote it
            found = Outcome(**result)
            for line in found.warnings:  # the job's own log is nobody's who looks at the task
                LOG.warning("%s", line)
            return found
        check_failure(failure_in(jobs.log(job)))
    ends = "mark it as failed if the training is to end"
    check_not_gone(jobs, job, state, "goes on from the newest checkpoint", ends)
    raise _failure(jobs, job, state)


def is_done(store: ModelStore, work: Work) -> bool:
    """Return whether the result of a job is there.

    That a job succeeded is not enough: its files are cleared once its version is stored, and the
    same work may be asked for again.
    """
    result = work.checkpoints(store).said(RESULT)
    return result is not None and "error" not in result


def _failure(jobs: JobsApi, job: str, state: str) -> PipelineError:
    lines = [line for line in jobs.log(job).splitlines() if not line.startswith(PROGRESS)]
    return TrainingError(
        "the Ray job failed",
        where=f"job {job} at {jobs.address}",
        expected=SUCCEEDED,
        found="\n".join([state, *lines[-15:]]),
        next_step="correct what the log says; clear the task to go on from the newest checkpoint",
    )
