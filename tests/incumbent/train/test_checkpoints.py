"""Checkpoints: whole or absent, verified, few."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.records import digest_of
from incumbent.train.checkpoints import SET_ASIDE, Checkpoints, Progress

pytestmark = pytest.mark.unit


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "work")


def test_the_newest_is_read_back_and_only_three_are_kept(checkpoints: Checkpoints) -> None:
    for rounds in (5, 10, 90, 100):
        checkpoints.write(rounds, f"model {rounds}".encode())
    assert checkpoints.newest() == (100, b"model 100")
    assert [path.name[:6] for path in sorted(checkpoints.folder.glob("*.ubj"))] == ["000010", "000090", "000100"]


def test_a_damaged_one_is_set_aside_and_the_one_before_it_serves(checkpoints: Checkpoints) -> None:
    checkpoints.write(10, b"ten")
    checkpoints.write(20, b"twenty")
    damaged = next(checkpoints.folder.glob("000020-*.ubj"))
    damaged.write_bytes(b"twenti")
    assert checkpoints.newest() == (10, b"ten")
    assert (checkpoints.folder / SET_ASIDE / damaged.name).read_bytes() == b"twenti"
    assert not damaged.exists()


def test_a_truncated_or_foreign_file_is_set_aside(checkpoints: Checkpoints) -> None:
    checkpoints.write(10, b"ten")
    (checkpoints.folder / "999999.ubj").write_bytes(b"from elsewhere")
    (checkpoints.folder / f"best-{digest_of(b'x')}.ubj").write_bytes(b"x")
    (checkpoints.folder / f"000030-{digest_of(b'thirty')}.ubj").write_bytes(b"")
    assert checkpoints.newest() == (10, b"ten")
    assert len(list((checkpoints.folder / SET_ASIDE).iterdir())) == 3


def test_there_is_none_in_a_folder_that_does_not_exist(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    assert checkpoints.progress() is None
    checkpoints.clear()


def test_progress_is_replaced_and_read_back(checkpoints: Checkpoints) -> None:
    first, second = Progress(10, 40, 123, 1, None, 900), Progress(20, 40, 124, 2, 10, 900)
    checkpoints.say(first)
    assert checkpoints.progress() == first
    checkpoints.say(second)
    assert checkpoints.progress() == second
    assert [path.name for path in checkpoints.folder.iterdir()] == ["progress.json"]
