"""Checkpoints: whole or absent, verified, few."""

from __future__ import annotations

import errno
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from incumbent.errors import StoreError, UnavailableError
from incumbent.records import digest_of
from incumbent.store.blobs import Blobs
from incumbent.store.local import LocalBlobs
from incumbent.train.checkpoints import ABANDONED, FOLDER, KEEP, SET_ASIDE, SUFFIX, Checkpoints, State, forget_abandoned

pytestmark = pytest.mark.unit
WORK = "a" * 64


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(LocalBlobs(tmp_path), WORK)


def write(checkpoints: Checkpoints, rounds: int) -> str:
    checkpoints.write(State(rounds, validation=(0.5, 0.25)), f"model {rounds}".encode())
    return max(names(checkpoints))


def names(checkpoints: Checkpoints) -> list[str]:
    return [name for name in checkpoints.blobs.names() if name.endswith(SUFFIX)]


def newest(checkpoints: Checkpoints) -> tuple[int, bytes] | None:
    found = checkpoints.newest()
    return None if found is None else (found.state.rounds, found.model)


def test_the_newest_is_read_back_and_only_a_few_are_kept(checkpoints: Checkpoints) -> None:
    for rounds in (5, 10, 90, 100):
        write(checkpoints, rounds)
    found = checkpoints.newest()
    assert found is not None
    assert found.state == State(100, validation=[0.5, 0.25])
    assert found.model == b"model 100"
    assert KEEP == 3
    assert [name[:6] for name in names(checkpoints)] == ["000010", "000090", "000100"]


def test_a_damaged_one_is_set_aside_and_the_one_before_it_serves(checkpoints: Checkpoints, tmp_path: Path) -> None:
    write(checkpoints, 10)
    name = write(checkpoints, 20)
    file = tmp_path / FOLDER / WORK[:32] / name
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert newest(checkpoints) == (10, b"model 10")
    assert checkpoints.blobs.read(f"{SET_ASIDE}/{name}").endswith(b"model 2!")
    assert not file.exists()


def test_what_is_truncated_foreign_or_no_checkpoint_is_set_aside(checkpoints: Checkpoints, tmp_path: Path) -> None:
    write(checkpoints, 10)
    other = Checkpoints(LocalBlobs(tmp_path / "elsewhere"), "b" * 64)
    foreign = write(other, 90)
    checkpoints.blobs.create(foreign, other.blobs.read(foreign))
    for number, data in enumerate(
        (b"", b"{}\nmodel", b"[]\nmodel", b"no header", b'{"schema":"incumbent.checkpoint/1"}\n')
    ):
        checkpoints.blobs.create(f"{20 + number:06d}-{digest_of(data)}{SUFFIX}", data)
    checkpoints.blobs.create(f"999999{SUFFIX}", b"from elsewhere")
    assert newest(checkpoints) == (10, b"model 10")
    assert len(checkpoints.blobs.names(SET_ASIDE)) == 7
    with pytest.raises(StoreError, match="cannot be used") as caught:
        checkpoints.blobs.create(foreign, other.blobs.read(foreign))
        checkpoints.read(foreign)
    assert caught.value.found == "a checkpoint of another work"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO], ids=["no permission", "a broken disk"])
def test_one_that_cannot_be_read_costs_rounds_and_nothing_else(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    write(checkpoints, 10)
    hidden, read = write(checkpoints, 20), LocalBlobs.read

    def refuse(blobs: LocalBlobs, name: str) -> bytes:
        if name == hidden:
            raise OSError(code, os.strerror(code))
        return read(blobs, name)

    monkeypatch.setattr(LocalBlobs, "read", refuse)
    assert newest(checkpoints) == (10, b"model 10")
    assert f"it cannot be read: {os.strerror(code)}" in caplog.text
    assert hidden in checkpoints.blobs.names()


def test_a_full_disk_is_said_with_the_remedy_and_worth_another_try(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(blobs: Blobs, name: str, data: bytes) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalBlobs, "create", full)
    with pytest.raises(UnavailableError, match="cannot be written") as caught:
        write(checkpoints, 10)
    assert caught.value.found == "No space left on device"
    assert "make room" in caught.value.next_step


def test_there_is_none_in_a_folder_that_does_not_exist(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    assert checkpoints.said("result.json") is None
    checkpoints.clear()


def test_what_nobody_has_come_back_to_for_a_month_is_forgotten(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    old, mixed, new = (Checkpoints(store, letter * 64) for letter in "abc")
    month = ABANDONED.total_seconds() + 60
    for checkpoints in (old, mixed, new):
        write(checkpoints, 10)
    aged = [old.blobs, mixed.blobs]
    write(mixed, 20)
    for blobs in aged:
        for name in blobs.names():
            if not name.startswith("000020"):
                os.utime(blobs.path(name), (time.time() - month,) * 2)
    assert forget_abandoned(store, datetime.now(UTC)) == ["a" * 32]
    assert old.blobs.names() == []
    assert (len(mixed.blobs.names()), len(new.blobs.names())) == (2, 1)


def test_a_small_record_is_replaced_and_cleared_with_the_rest(checkpoints: Checkpoints) -> None:
    write(checkpoints, 10)
    checkpoints.say("result.json", {"rounds": 1})
    checkpoints.say("result.json", {"rounds": 2})
    assert checkpoints.said("result.json") == {"rounds": 2}
    checkpoints.clear()
    assert checkpoints.blobs.names() == []
