"""Fit as a Ray job: submitted once under a name of its own, found again by whoever comes back.

The submission id is the digest of the work, so a task that was killed and retried reattaches to its
running job; a job that was killed goes on from its newest verified checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError, UnavailableError
from incumbent.estimators.encoding import Encoder
from incumbent.records import canonical_json
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Checkpoints, Progress
from incumbent.train.fit import Fitted
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)
POLL_S = 0.5
ATTEMPTS = 3
RUNNING = ("PENDING", "RUNNING")
ORDER = "order.json"


def run_on_ray(store: ModelStore, work: Work, settings: Settings) -> tuple[Fitted, Encoder, int]:
    """Fit on an existing cluster, or on the local head; return the fit, its encoding and the row count.

    Raises:
        TrainingError: The job failed for good, or several workers were asked for.
        UnavailableError: The cluster does not answer.
    """
    if work.model.train.workers != 1:
        raise TrainingError(
            "training with several workers is not built yet",
            where="train.workers in model.yaml",
            expected="1",
            found=work.model.train.workers,
            next_step="set train.workers to 1",
        )
    folder = work.checkpoints(store).folder
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "store": store.blobs.url.rpartition("/")[0],
        "work": str(store.work.parent),
        "model": work.model.model_dump(mode="json"),
        "snapshot": work.snapshot.id,
        "device": work.device,
        "name": work.id[:32],
        "results": str(settings.ray / "results"),
    }
    (folder / ORDER).write_bytes(canonical_json(order))
    with _client(settings) as (client, environment):
        _follow(client, environment, work, work.checkpoints(store), settings)
    plain = json.loads((folder / "result.json").read_text())
    if "error" in plain:
        raise TrainingError(**plain["error"])
    encoder = Encoder(tuple(plain["features"]), {name: tuple(levels) for name, levels in plain["categories"].items()})
    newest = work.checkpoints(store).newest()
    if newest is None or newest[0] != plain["rounds"]:
        raise TrainingError(
            "the job ended without its last checkpoint",
            where=str(folder),
            expected=f"a checkpoint of {plain['rounds']} rounds",
            found="none" if newest is None else f"{newest[0]} rounds",
            next_step="clear the task: the training goes on from the newest checkpoint",
        )
    return Fitted(newest[1], plain["rounds"], plain["checkpoints"], plain["resumed_from"]), encoder, plain["rows"]


def is_done(checkpoints: Checkpoints) -> bool:
    """Return whether a job's result and the checkpoint it speaks of are both there.

    That a job succeeded is not enough: its files are cleared once its version is stored, and the
    same work may be asked for again.
    """
    path = checkpoints.folder / "result.json"
    if not path.exists():
        return False
    plain = json.loads(path.read_text())
    newest = checkpoints.newest()
    return "error" not in plain and newest is not None and newest[0] == plain["rounds"]


def next_attempt(states: Mapping[int, str], done: bool) -> tuple[int, bool]:
    """Return the attempt to follow and whether it has to be submitted: pure, from what Ray knows.

    A running job is followed, never submitted twice. A job that succeeded and whose result is gone
    is fitted again. Failures are counted, so that a hopeless job is not submitted for ever.

    Args:
        states: Attempt number to the state of its job.
        done: Whether the result is there.

    >>> next_attempt({}, done=False), next_attempt({1: "RUNNING"}, done=False)
    ((1, True), (1, False))
    """
    last = max(states, default=0)
    if states.get(last) in RUNNING or (states.get(last) == "SUCCEEDED" and done):
        return last, False
    failed = sum(state not in (*RUNNING, "SUCCEEDED") for state in states.values())
    return (last, False) if failed >= ATTEMPTS else (last + 1, True)


def _follow(client: Any, environment: dict[str, str], work: Work, checkpoints: Checkpoints, settings: Settings) -> None:
    """Submit the job unless it runs already, and wait for its end, telling the progress."""
    job = _submit(client, environment, work, checkpoints)
    told = -1
    while (state := str(client.get_job_status(job).value)) in RUNNING:
        progress = checkpoints.progress()
        if progress is not None and progress.round != told:
            told = progress.round
            LOG.info("round %d of %d, %d rows", progress.round, progress.rounds, progress.rows)
        _touch(settings)
        time.sleep(POLL_S)
    if state != "SUCCEEDED":
        tail = "\n".join(str(client.get_job_logs(job)).splitlines()[-15:])
        raise TrainingError(
            "the Ray job failed",
            where=f"job {job}",
            expected="SUCCEEDED",
            found=f"{state}\n{tail}",
            next_step="correct what the log says; clear the task to go on from the newest checkpoint",
        )


def _submit(client: Any, environment: dict[str, str], work: Work, checkpoints: Checkpoints) -> str:
    prefix = f"incumbent-{work.id[:24]}-"
    known = {info.submission_id: str(info.status.value) for info in client.list_jobs() if info.submission_id}
    states = {int(job.removeprefix(prefix)): state for job, state in known.items() if job.startswith(prefix)}
    attempt, missing = next_attempt(states, is_done(checkpoints))
    job = f"{prefix}{attempt}"
    if missing:
        (checkpoints.folder / "result.json").unlink(missing_ok=True)
        command = f"{shlex.quote(sys.executable)} -m incumbent.train.job {shlex.quote(str(checkpoints.folder / ORDER))}"
        client.submit_job(entrypoint=command, submission_id=job, runtime_env={"env_vars": environment})
    LOG.info("job %s is %s", job, "submitted" if missing else f"{states[attempt].lower()} already")
    return job


def work_progress(folder: Any) -> Progress | None:
    """Return the progress that the fitting process published, or None."""
    path = folder / "progress.json"
    return Progress(**json.loads(path.read_text())) if path.exists() else None


@contextmanager
def _client(settings: Settings) -> Iterator[tuple[Any, dict[str, str]]]:
    from incumbent.embedded import ray_head

    if settings.ray_address:
        address, environment = settings.ray_address, {}
    else:
        address, environment = ray_head.ensure(settings).dashboard_url, ray_head.environment(settings)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # Ray reads its token from the environment
    try:
        from ray.job_submission import JobSubmissionClient

        yield JobSubmissionClient(address), environment
    except (ConnectionError, RuntimeError) as error:
        raise UnavailableError(
            "the Ray cluster does not answer",
            where=address,
            expected="the Jobs API",
            found=" ".join(str(error).split())[:300],
            next_step="look at the cluster; for the local head see `incumbent doctor`",
        ) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _touch(settings: Settings) -> None:
    from incumbent.embedded import ray_head

    if not settings.ray_address:
        ray_head.touch(settings)
