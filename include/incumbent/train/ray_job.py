"""Fit as a Ray job: submitted once under a name of its own, found again by whoever comes back.

The submission id is the digest of the work, so a task that was killed and retried reattaches to its running job; a
job that was killed goes on from its newest verified checkpoint. Nobody has to watch a job for it to go on.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incumbent.embedded.settings import Settings
from incumbent.errors import PipelineError, TrainingError, UnavailableError
from incumbent.store import ModelStore
from incumbent.train.failure import check_failure, failure_in
from incumbent.train.jobs_api import LOST, RUNNING, STOPPED, SUCCEEDED, JobsApi
from incumbent.train.order import write_order
from incumbent.train.outcome import Outcome
from incumbent.train.progress import Progress, log_progress
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)
POLL_S = 0.5
ATTEMPTS = 3
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


def open_jobs(store: ModelStore, settings: Settings) -> JobsApi:
    """Return the jobs of the existing cluster that is configured, or of the local head, which is started.

    Jobs of the local head reach the store as this process does; for an existing cluster its administrator sees to it.
    """
    from incumbent.embedded import ray_head

    if settings.ray_address:
        return JobsApi.of(settings.ray_address, os.environ)
    head = ray_head.ensure(settings, store.blobs.environment())
    return JobsApi.of(head.dashboard_url, ray_head.environment(settings))


def find_jobs(settings: Settings) -> JobsApi:
    """Return the jobs of the cluster without starting anything."""
    from incumbent.embedded import ray_head

    if settings.ray_address:
        return JobsApi.of(settings.ray_address, os.environ)
    return JobsApi.of(ray_head.dashboard_url(settings), ray_head.environment(settings))


def submit(store: ModelStore, work: Work, jobs: JobsApi, settings: Settings) -> str:
    """Return the job of a work: the one that runs or has succeeded, else a new one.

    Raises:
        TrainingError: The cluster has another Ray.
        UnavailableError: The cluster does not answer.
    """
    prefix = f"incumbent-{work.id[:24]}-"
    known = {job: state for job, state in jobs.states().items() if job.startswith(prefix)}
    states = {int(job.removeprefix(prefix)): state for job, state in known.items()}
    attempt, missing = next_attempt(states, is_done(store, work))
    job = f"{prefix}{attempt}"
    if missing:
        _check_version(jobs)
        work.checkpoints(store).forget(RESULT)
        order = write_order(store, work)
        command = f"{shlex.quote(settings.ray_python)} -m incumbent.train.job {shlex.quote(order)}"
        jobs.submit(job, command, {"model": work.model.name, "snapshot": work.snapshot.id, "work": work.id})
    LOG.info("job %s at %s is %s", job, jobs.address, "submitted" if missing else f"{states[attempt].lower()} already")
    return job


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
    if state == LOST:
        raise UnavailableError(
            "the Ray cluster has forgotten the job: its head was started anew",
            where=f"job {job} at {jobs.address}",
            expected=SUCCEEDED,
            found="no such job",
            next_step="nothing: the task is tried again, and goes on from the newest checkpoint",
        )
    if state == STOPPED:
        raise UnavailableError(
            "somebody has ended the Ray job",
            where=f"job {job} at {jobs.address}",
            expected=SUCCEEDED,
            found=f"{state}, as after its task was cleared",
            next_step="nothing: the task is tried again, and goes on from the newest checkpoint; mark it as failed if "
            "the training is to end",
        )
    raise _failure(jobs, job, state)


def is_done(store: ModelStore, work: Work) -> bool:
    """Return whether the result of a job is there.

    That a job succeeded is not enough: its files are cleared once its version is stored, and the
    same work may be asked for again.
    """
    result = work.checkpoints(store).said(RESULT)
    return result is not None and "error" not in result


def next_attempt(states: Mapping[int, str], done: bool) -> tuple[int, bool]:
    """Return the attempt to follow and whether it has to be submitted: pure, from what Ray knows.

    A running job is followed, never submitted twice. A job that succeeded and whose result is gone
    is fitted again, and one that a person ended too. Failures are counted, so that a hopeless job is not
    submitted for ever.

    Args:
        states: Attempt number to the state of its job.
        done: Whether the result is there.

    >>> next_attempt({}, done=False), next_attempt({1: "RUNNING"}, done=False)
    ((1, True), (1, False))
    """
    last = max(states, default=0)
    if states.get(last) in RUNNING or (states.get(last) == SUCCEEDED and done):
        return last, False
    failed = sum(state not in (*RUNNING, SUCCEEDED, STOPPED) for state in states.values())
    return (last, False) if failed >= ATTEMPTS else (last + 1, True)


def _failure(jobs: JobsApi, job: str, state: str) -> PipelineError:
    lines = [line for line in jobs.log(job).splitlines() if not line.startswith(PROGRESS)]
    return TrainingError(
        "the Ray job failed",
        where=f"job {job} at {jobs.address}",
        expected=SUCCEEDED,
        found="\n".join([state, *lines[-15:]]),
        next_step="correct what the log says; clear the task to go on from the newest checkpoint",
    )


def _check_version(jobs: JobsApi) -> None:
    own, found = importlib.metadata.version("ray"), jobs.ray_version()
    if own != found:
        raise TrainingError(
            "the cluster has another Ray",
            where=jobs.address,
            expected=f"ray {own}",
            found=f"ray {found}",
            next_step=f"install ray=={own} on the cluster, or Incumbent with ray=={found} where Airflow runs",
        )
