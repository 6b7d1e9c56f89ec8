"""What a version says of a content, predicted by many workers of a Ray cluster: the rows that `in_process` would yield.

The task stays who commits. A job predicts piece by piece into the store's scoring folder; here they are read in order.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.cluster.failure import check_failure, failure_in
from incumbent.cluster.jobs import check_not_gone, open_jobs, submit_once
from incumbent.cluster.jobs_api import RUNNING, SUCCEEDED, JobsApi
from incumbent.embedded.settings import Settings
from incumbent.errors import ModelError
from incumbent.records import ModelVersion, Part
from incumbent.score.ray_order import RESULT, Work, said, work_of, write_order
from incumbent.score.rows import BATCH_ROWS, Scored
from incumbent.store import ModelStore
from incumbent.store.blobs import Blobs
from incumbent.store.data_files import in_turn

POLL_S = 1.0


def on_ray(
    store: ModelStore, settings: Settings, workers: int, version: ModelVersion, part: Part, columns: Sequence[str]
) -> Iterator[Scored]:
    """Yield what a version says of a content, in its order.

    Args:
        store: The model's store; every node of the cluster must reach it at its address.
        settings: Which cluster.
        workers: Processes of one core each.
        version: Who scores.
        part: The content.
        columns: What each row is told with.

    Raises:
        ModelError: The version cannot score it, or the job failed for good.
        UnavailableError: The cluster does not answer, or has lost the job.
    """
    work = work_of(version, part, columns, workers)
    place = work.place(store)
    pieces = _pieces(store, settings, work)
    for piece in pieces:
        yield from _read(place, piece)
    for name in place.names():  # made again if the commit is never reached: nothing rests on it
        place.remove(name)


def _pieces(store: ModelStore, settings: Settings, work: Work) -> list[dict[str, str]]:
    place = work.place(store)
    if (result := said(place, RESULT)) is None:
        jobs = open_jobs(store, settings)

        def order() -> str:
            return (
                f"{shlex.quote(settings.ray_python)} -m incumbent.score.ray_job {shlex.quote(write_order(store, work))}"
            )

        about = {"model": store.name, "partition": work.partition, "version": work.version}
        job = submit_once(jobs, work.id, False, order, about)
        _wait(jobs, job)
        if (result := said(place, RESULT)) is None:
            raise _failure(jobs, job)
    return list(result["pieces"])


def _wait(jobs: JobsApi, job: str) -> None:
    while (state := jobs.state(job)) in RUNNING:
        time.sleep(POLL_S)
    if state == SUCCEEDED:
        check_failure(failure_in(jobs.log(job)))
    check_not_gone(jobs, job, state, "begins again", "mark it as failed if nothing is to be scored")


def _failure(jobs: JobsApi, job: str) -> ModelError:
    return ModelError(
        "the Ray job that scores failed",
        where=f"job {job} at {jobs.address}",
        expected=SUCCEEDED,
        found="\n".join([jobs.state(job), *jobs.log(job).splitlines()[-15:]]),
        next_step="correct what the log says, or set score.workers: 0 to score in the task; clear the task",
    )


def _read(place: Blobs, piece: dict[str, str]) -> Iterator[Scored]:
    """Yield a piece batch by batch, with all that was set aside of it in the first."""
    with place.open_verified(f"{piece['aside']}.parquet", piece["aside"]) as file:
        aside = pq.read_table(file)
    with place.open_verified(f"{piece['rows']}.parquet", piece["rows"]) as file:
        rows = pq.ParquetFile(file, page_checksum_verification=True)
        yield Scored(rows.schema_arrow.empty_table(), aside)
        for batch in in_turn(rows, BATCH_ROWS):
            yield Scored(pa.Table.from_batches([batch]), aside.slice(0, 0))
