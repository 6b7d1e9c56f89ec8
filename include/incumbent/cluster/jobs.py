"""Jobs under a name of their own: submitted once, and found again by whoever comes back.

The submission id begins with the digest of what is asked for, so a task that was killed and retried reattaches to its
running job.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Callable, Mapping

from incumbent.cluster.jobs_api import LOST, RUNNING, STOPPED, SUCCEEDED, JobsApi
from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError, UnavailableError
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)
ATTEMPTS = 3


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


def submit_once(jobs: JobsApi, work: str, done: bool, order: Callable[[], str], about: Mapping[str, str]) -> str:
    """Return the job of a work: the one that runs or has succeeded, else a new one.

    Args:
        jobs: The cluster.
        work: Digest of what is asked for.
        done: Whether its result is there.
        order: Called if a job has to be submitted; returns its command line.
        about: What the cluster's pages say of it.

    Raises:
        TrainingError: The cluster has another Ray.
        UnavailableError: The cluster does not answer.
    """
    prefix = f"incumbent-{work[:24]}-"
    known = {job: state for job, state in jobs.states().items() if job.startswith(prefix)}
    states = {int(job.removeprefix(prefix)): state for job, state in known.items()}
    attempt, missing = next_attempt(states, done)
    job = f"{prefix}{attempt}"
    if missing:
        _check_version(jobs)
        jobs.submit(job, order(), about)
    LOG.info("job %s at %s is %s", job, jobs.address, "submitted" if missing else f"{states[attempt].lower()} already")
    return job


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


def check_not_gone(jobs: JobsApi, job: str, state: str, goes_on: str, ends: str) -> None:
    """Raise UnavailableError if a job is gone, or somebody has ended it: its task is to be tried again.

    Args:
        jobs: The cluster.
        job: Submission id.
        state: The last that was seen of it.
        goes_on: What the task does when it is tried again.
        ends: What a person does who wants none of that.
    """
    if state not in (LOST, STOPPED):
        return
    lost = state == LOST
    forgotten = "the Ray cluster has forgotten the job: its head was started anew"
    raise UnavailableError(
        forgotten if lost else "somebody has ended the Ray job",
        where=f"job {job} at {jobs.address}",
        expected=SUCCEEDED,
        found="no such job" if lost else f"{state}, as after its task was cleared",
        next_step=f"nothing: the task is tried again, and {goes_on}" + ("" if lost else f"; {ends}"),
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
