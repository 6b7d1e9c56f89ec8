"""A full disk is told apart from all else that can be wrong with a file."""

import errno
import shutil
from pathlib import Path

import pytest

from incumbent.disk import need_room, room_on_disk
from incumbent.errors import UnavailableError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_and_no_quota_are_worth_another_try(code: int) -> None:
    with pytest.raises(UnavailableError, match="a disk is full") as caught, room_on_disk("/store"):
        raise OSError(code, "none left")
    assert caught.value.where.startswith("/store, or the temporary folder /")
    with pytest.raises(UnavailableError) as caught, room_on_disk("/store"):
        raise OSError(code, "none left", "/other/file")
    assert (caught.value.where, caught.value.found) == ("/other/file", "none left")


def test_anything_else_is_left_as_it_is() -> None:
    with pytest.raises(PermissionError), room_on_disk("/store"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(KeyError), room_on_disk("/store"):
        raise KeyError("x")


def test_what_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    need_room(tmp_path, free // 2, "rows", "have fewer")
    with pytest.raises(UnavailableError, match="a disk has too little room") as caught:
        need_room(tmp_path, free * 2, "rows", "have fewer")
    assert caught.value.where == f"rows, in {tmp_path}"
    assert caught.value.next_step == "make room there, point TMPDIR at a larger disk, or have fewer"
