"""The driver of a scoring job: a group of workers that take the next piece of a content, each as it is free."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray

from incumbent.cluster.failure import check_failure, failure_line, failure_of
from incumbent.disk import room_on_disk
from incumbent.errors import PipelineError
from incumbent.records import ModelVersion
from incumbent.score.ray_order import RESULT, read_order, say

LOG = logging.getLogger(__name__)


def main(command: str) -> None:
    """Score the order that a command line names, and leave its result in the store, or its error in the log."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    try:
        with (
            room_on_disk(json.loads(command)["store"]),
            tempfile.TemporaryDirectory(prefix="incumbent-scoring-") as scratch,
        ):
            store, work = read_order(command, Path(scratch))
            say(work.place(store), RESULT, {"pieces": _scored(command, work.workers, work.pieces())})
    except PipelineError as error:
        LOG.info("%s", failure_line(error))


def _scored(command: str, workers: int, pieces: list[tuple[int, int]]) -> list[dict[str, str]]:
    """Return what became of each piece, in order; a piece whose worker died is scored by another one."""
    kind = ray.remote(Scorer).options(num_cpus=1, max_restarts=3, max_task_retries=3)
    group = [kind.remote(command) for _ in range(min(workers, len(pieces)))]
    found: dict[int, dict[str, str]] = {}
    waiting = list(enumerate(pieces))
    busy = {actor.score.remote(*piece): (number, actor) for actor in group for number, piece in [waiting.pop(0)]}
    while busy:
        (ended,), _ = ray.wait(list(busy), num_returns=1)
        number, actor = busy.pop(ended)
        result = ray.get(ended)
        check_failure(result)
        found[number] = result
        LOG.info("%d of %d pieces are scored", len(found), len(pieces))
        if waiting:
            number, piece = waiting.pop(0)
            busy[actor.score.remote(*piece)] = (number, actor)
    return [found[number] for number in sorted(found)]


class Scorer:
    """Scores pieces, in a process of Ray's; its methods are called by name.

    Args:
        command: Names the order; see `incumbent.score.ray_order`.
    """

    def __init__(self, command: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="incumbent-scorer-")
        self._failed: dict[str, Any] | None = None
        try:
            from incumbent.estimators import predictor

            self._store, self._work = read_order(command, Path(self._scratch.name))
            self._version = self._store.records.get(ModelVersion, self._work.version)
            self._predict = predictor(self._store)
        except PipelineError as error:  # of this node alone, such as another release; an actor that fails just dies
            self._failed = failure_of(error)

    def score(self, first: int, until: int) -> dict[str, Any]:
        """Return the digests of what was scored and set aside of some row groups, or why it cannot be."""
        if self._failed is not None:
            return self._failed
        try:
            return self._score(first, until)
        except PipelineError as error:
            return failure_of(error)

    def _score(self, first: int, until: int) -> dict[str, str]:
        import pyarrow as pa

        from incumbent.score.rows import BATCH_ROWS, scored

        features, work = self._store.features(self._work.definition), self._work
        done = [
            scored(self._version, pa.Table.from_batches([batch]), work.columns, self._predict)
            for batch in features.batches(work.part, BATCH_ROWS, row_groups=range(first, until))
        ]
        return {name: self._kept(pa.concat_tables(getattr(each, name) for each in done)) for name in ("rows", "aside")}

    def _kept(self, rows: Any) -> str:
        from incumbent.store.data_files import write

        place = self._work.place(self._store)
        file = place.staging() / f"{secrets.token_hex(8)}.parquet"
        digest, _ = write(file, rows)
        place.create_from(f"{digest}.parquet", file)
        return digest


if __name__ == "__main__":
    main(sys.argv[1])
