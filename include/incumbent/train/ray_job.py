"""Fit as a Ray job: submitted once under a name of its own, found again by whoever comes back.

The submission id is the digest of the work, so a task that was killed and retried reattaches to its
running job; a job that was killed goes on from its newest verified checkpoint.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError, UnavailableError
from incumbent.estimators.encoding import Encoder
from incumbent.records import canonical_json
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Progress
from incumbent.train.fit import Fitted
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)
POLL_S = 0.5
ATTEMPTS = 3
RUNNING = ("PENDING", "RUNNING")


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
        "store": str(store.root.parent),
        "model": work.model.model_dump(mode="json"),
        "snapshot": work.snapshot.id,
        "device": work.device,
        "results": str(settings.ray / "results"),
    }
    (folder / "order.json").write_bytes(canonical_json(order))
    with _client(settings) as (client, environment):
        _follow(client, environment, work, folder, settings)
    plain = json.loads((folder / "result.json").read_text())
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


def _follow(client: Any, environment: dict[str, str], work: Work, folder: Any, settings: Settings) -> None:
    """Submit the job unless it runs already, and wait for its end, telling the progress."""
    job = _submit(client, environment, work, folder)
    told = -1
    while (state := str(client.get_job_status(job).value)) in RUNNING:
        progress = work_progress(folder)
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


def _submit(client: Any, environment: dict[str, str], work: Work, folder: Any) -> str:
    for attempt in range(1, ATTEMPTS + 1):
        job = f"incumbent-{work.id[:24]}-{attempt}"
        known = {info.submission_id: str(info.status.value) for info in client.list_jobs()}
        state = known.get(job)
        if state in RUNNING or state == "SUCCEEDED":
            LOG.info("job %s is %s already", job, state.lower())
            return job
        if state is None:
            command = f"{sys.executable} -m incumbent.train.job {folder / 'order.json'}"
            client.submit_job(entrypoint=command, submission_id=job, runtime_env={"env_vars": environment})
            LOG.info("job %s is submitted", job)
            return job
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
