"""What fails on a cluster comes home as one error with its remedy, also where the store is out of reach."""

from __future__ import annotations

import errno
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from small_training import small_model, small_store

from incumbent.cluster.failure import check_failure, failure_in
from incumbent.errors import TrainingError, UnavailableError
from incumbent.store.local import LocalBlobs
from incumbent.train import job, order
from incumbent.train.order import write_order
from incumbent.train.ray_job import RESULT
from incumbent.train.ray_search import Searcher
from incumbent.train.work import Work
from incumbent.train.worker import Worker

pytestmark = pytest.mark.unit
ANOTHER = "this node of the cluster has another release of Incumbent"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return a work whose job thinks that Ray is there."""
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as a worker does: taken back at the end
    return Work(small_model(launcher="ray"), small_store(tmp_path / "store")[1])


def ordered(tmp_path: Path, work: Work) -> str:
    return write_order(small_store(tmp_path / "store")[0], work)


def ran(command: str, caplog: pytest.LogCaptureFixture) -> str:
    """Run a job, which ends as one that did what it could, and return its log."""
    with caplog.at_level(logging.INFO):
        job.main(command)
    return "\n".join(caplog.messages)


def test_an_order_that_cannot_be_read_is_told_though_the_store_is_out_of_reach(
    tmp_path: Path, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = ordered(tmp_path, work).replace(str(tmp_path), str(tmp_path / "not mounted here"))
    with pytest.raises(TrainingError, match="the order of a training is gone") as caught:
        check_failure(failure_in(ran(elsewhere, caplog)))
    assert str(tmp_path / "not mounted here") in caught.value.where
    assert "every node of the cluster reaches the store" in caught.value.next_step


def test_a_disk_without_a_byte_left_is_told_and_worth_another_try(
    tmp_path: Path, work: Work, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, create = ordered(tmp_path, work), LocalBlobs.create
    monkeypatch.setattr(job.Driver, "run", lambda driver: {"rounds": 1})

    def full(blobs: LocalBlobs, name: str, data: bytes) -> bool:
        if name == RESULT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(blobs, name, data)

    monkeypatch.setattr(LocalBlobs, "create", full)
    with pytest.raises(UnavailableError, match="a disk is full") as caught:
        check_failure(failure_in(ran(command, caplog)))
    assert str(tmp_path / "store") in caught.value.where
    assert "make room" in caught.value.next_step


def test_a_job_that_gave_something_tells_of_no_error(
    tmp_path: Path, work: Work, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ordered(tmp_path, work)
    monkeypatch.setattr(job.Driver, "run", lambda driver: {"rounds": 1})
    assert failure_in(ran(command, caplog)) == {}
    assert work.checkpoints(small_store(tmp_path / "store")[0]).said(RESULT) == {"rounds": 1}


@pytest.mark.parametrize("of", ["a fit", "a search"])
def test_a_node_that_cannot_take_part_says_why_instead_of_dying(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    command = ordered(tmp_path, work)
    monkeypatch.setattr(order.incumbent, "__version__", "0.0.1")
    said: dict[str, Any] = Worker(command).fit({}, "", None, {}) if of == "a fit" else Searcher(command, "").run({}, {})
    with pytest.raises(TrainingError, match=ANOTHER):
        check_failure(said)
