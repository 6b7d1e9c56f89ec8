"""Follow a Ray job to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from incumbent.train.progress import Progress

LOG = logging.getLogger(__name__)
AWAY_S = 60.0


class RayJobTrigger(BaseTrigger):
    """Fire when a Ray job has ended, or its cluster has not answered for a minute; log how far it is until then.

    The job goes on without anybody who follows it. Only a person who ends the task ends the job: a triggerer that is
    stopped, or a trigger that runs out of time, leaves it alone.

    :param job: Submission id.
    :param model: Model name.
    :param training: Name of the training; its run in MLflow gets a point of each progress.
    :param poll_s: Seconds between two looks.
    """

    def __init__(self, job: str, model: str, training: str, poll_s: float = 2.0) -> None:
        super().__init__()
        self.job = job
        self.model = model
        self.training = training
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger in another process."""
        return (
            "incumbent_airflow.triggers.ray_job.RayJobTrigger",
            {"job": self.job, "model": self.model, "training": self.training, "poll_s": self.poll_s},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, with the state in which the job ended."""
        from incumbent.cluster.jobs_api import RUNNING
        from incumbent.errors import PipelineError
        from incumbent.train.ray_job import watch

        tell = await asyncio.to_thread(self._teller)
        told, answered = None, time.monotonic()
        while True:
            try:
                seen = await asyncio.to_thread(watch, _jobs(), self.job)
            except PipelineError as error:  # of the cluster, or of how this triggerer is set up
                if time.monotonic() - answered > AWAY_S:
                    yield TriggerEvent({"state": "AWAY", "message": str(error)})
                    return
                LOG.warning("%s: %s", error.what, error.found)
            else:
                answered = time.monotonic()
                if seen.progress is not None and seen.progress != told:
                    told = seen.progress
                    await asyncio.to_thread(tell, told)
                if seen.state not in RUNNING:
                    yield TriggerEvent({"state": seen.state, "message": f"job {self.job} is {seen.state.lower()}"})
                    return
            await asyncio.sleep(self.poll_s)

    def _teller(self) -> Callable[[Progress], None]:
        from incumbent.promote import known_run
        from incumbent_airflow.runtime import Runtime
        from incumbent_airflow.training import watcher

        runtime = Runtime.open(self.model)
        return watcher(runtime.settings, known_run(runtime.store, self.training))

    async def on_kill(self) -> None:
        """End the job, because a person ended its task."""
        LOG.info("ending job %s", self.job)
        await asyncio.to_thread(_jobs().stop, self.job)


def _jobs() -> Any:
    from incumbent.cluster.jobs import find_jobs
    from incumbent_airflow.runtime import current_settings

    return find_jobs(current_settings())
