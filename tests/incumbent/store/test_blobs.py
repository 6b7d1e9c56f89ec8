"""What every place for blobs promises."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import pytest

from incumbent.errors import StoreError
from incumbent.records import digest_of
from incumbent.store.blobs import Blobs
from incumbent.store.memory import MemoryBlobs

pytestmark = pytest.mark.unit


def test_what_is_created_is_read_listed_and_found(blobs: Blobs) -> None:
    assert blobs.create("records/pins/b.json", b"two")
    assert blobs.create("records/a.json", b"one")
    assert blobs.create("top", b"")
    assert blobs.names() == ["records/a.json", "records/pins/b.json", "top"]
    assert blobs.names("records") == ["records/a.json", "records/pins/b.json"]
    assert blobs.names("rec") == blobs.names("records/none") == []
    assert (blobs.folders(), blobs.folders("records"), blobs.folders("none")) == (["records"], ["pins"], [])
    assert (blobs.read("records/a.json"), blobs.size("records/a.json"), blobs.size("top")) == (b"one", 3, 0)
    assert blobs.sha256("records/pins/b.json") == digest_of(b"two")
    assert blobs.has("top") and not blobs.has("records") and not blobs.has("records/a")
    assert blobs.modified("top") <= datetime.now(UTC)


def test_a_view_is_the_same_blobs_under_shorter_names(blobs: Blobs) -> None:
    below = blobs.below("a").below("b")
    below.create("c/d", b"x")
    assert below.names() == ["c/d"]
    assert blobs.read("a/b/c/d") == b"x"
    assert blobs.below("a").folders() == ["b"]


def test_a_name_is_given_once(blobs: Blobs) -> None:
    assert blobs.create("a", b"first")
    assert not blobs.create("a", b"second")
    assert not blobs.create("a", b"first")
    assert blobs.read("a") == b"first"


def test_a_file_is_moved_in(blobs: Blobs) -> None:
    for content, created in ((b"content", True), (b"content", False)):
        file = blobs.staging() / "incumbent-test-file"
        file.write_bytes(content)
        assert blobs.create_from("data/x", file) is created
        assert not file.exists()
    assert blobs.read("data/x") == b"content"
    assert blobs.names() == ["data/x"]


@pytest.mark.parametrize("call", ["read", "size", "sha256", "modified", "open"])
def test_what_is_missing_is_not_found(blobs: Blobs, call: str) -> None:
    with pytest.raises(FileNotFoundError, match="some/name"):
        getattr(blobs, call)("some/name")


def test_removing_twice_is_no_error(blobs: Blobs) -> None:
    blobs.create("a", b"x")
    blobs.remove("a")
    blobs.remove("a")
    assert blobs.names() == []
    assert blobs.create("a", b"y")


def test_a_verified_blob_is_what_its_digest_says(blobs: Blobs) -> None:
    blobs.create("a", b"content")
    with blobs.open_verified("a", digest_of(b"content")) as file:
        file.seek(3)
        assert file.read() == b"tent"
    with pytest.raises(StoreError, match="changed since"):
        blobs.open_verified("a", digest_of(b"other"))
    with pytest.raises(StoreError, match="missing"):
        blobs.open_verified("b", digest_of(b"content"))


def create(job: tuple[Blobs, int]) -> bool:
    blobs, number = job
    return blobs.create("seat", str(number).encode())


def test_of_sixteen_writers_exactly_one_wins(blobs: Blobs) -> None:
    jobs = [(blobs, number) for number in range(16)]
    if isinstance(blobs, MemoryBlobs):
        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(create, jobs))
    else:
        with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
            won = list(processes.map(create, jobs))
    assert sum(won) == 1
    assert blobs.read("seat") == str(won.index(True)).encode()
