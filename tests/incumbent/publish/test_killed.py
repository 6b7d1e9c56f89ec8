"""A process killed while it publishes leaves what stood there, or all of what was to stand; the next one ends it."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest
from tests.crashes import PRELOADED, changes, killed_at_each_point
from tests.databases import Postgres
from tests.incumbent.publish.places import (
    KEY,
    TABLE,
    Place,
    bucket_place,
    folder_place,
    postgres_place,
    scored,
    seen,
    sqlite_place,
)
from tests.s3_server import BUCKET

from incumbent.publish import Content, content_of
from incumbent.publish import content as publish_content
from incumbent.store import ModelStore, Store
from incumbent.store.crash_points import AT, TRACE
from incumbent.store.s3 import S3Blobs

pytestmark = pytest.mark.unit
KINDS = ["postgres", "sqlite", "folder", "bucket"]
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 100))]
ROWS = 6_000
OF_TABLE = {f"staging for {TABLE}", f"removal from {TABLE}", f"rows of {TABLE}", f"incumbent_published of {TABLE}"}
CHANGES = {
    "postgres": OF_TABLE | {f"publication in {TABLE}"},
    "sqlite": OF_TABLE | {f"publication in {TABLE}"},
    "folder": {"writing of predictions.parquet", "replacement of predictions.parquet"},
    "bucket": {"object predictions.parquet"},
}
FIRST = {"making of incumbent_published", f"making of {TABLE}", "claim in incumbent_published"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the kind of place, with what a process of its own needs to reach it written down."""
    kind: str = request.param
    reach = {"kind": kind}
    if kind == "postgres":
        reach["port"] = request.getfixturevalue("server").port
    if kind == "bucket":
        reach["options"] = request.getfixturevalue("s3_options")
    (tmp_path / "reach.json").write_text(json.dumps(reach))
    return kind


def place_of(root: Path) -> Place:
    """Return the place of a folder that a scenario runs in."""
    reach = json.loads((root.parent / "reach.json").read_text())
    if reach["kind"] == "postgres":
        return postgres_place(Postgres(reach["port"]), f"{root.parent.name}_{root.name}".replace("-", "_").lower())
    if reach["kind"] == "sqlite":
        return sqlite_place(root / "predictions.sqlite")
    if reach["kind"] == "folder":
        return folder_place(root / "published")
    return bucket_place(S3Blobs(f"s3://{BUCKET}/{root.parent.name}/{root.name}", reach["options"]), root / "read")


def store_of(root: Path) -> ModelStore:
    return Store(root / "store").model("small")


def begin(root: Path) -> None:
    """Score a partition twice."""
    for generation in (1, 2):
        scored(store_of(root), generation, ROWS)


def old(store: ModelStore) -> Content:
    """Return what the partition held before."""
    new = content_of(store, KEY)
    assert new is not None
    before = store.predictions.log.version(new.number - 1)
    return replace(new, number=before.number, part=before.parts[KEY])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Pass crash points that nobody counts, and publish what is old already."""
    kept, is_current = {name: os.environ.pop(name) for name in (AT, TRACE) if name in os.environ}, Content.is_current
    Content.is_current = lambda self: True  # type: ignore[method-assign]
    yield
    Content.is_current = is_current  # type: ignore[method-assign]
    os.environ.update(kept)


def publish(root: Path) -> None:
    content = content_of(store_of(root), KEY)
    assert content is not None
    place_of(root).publish(content)


def publish_the_old_then_the_new(root: Path) -> None:
    with undisturbed():
        place_of(root).publish(old(store_of(root)))
    publish(root)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "sqlite")) for kind in KINDS], indirect=True
)
def test_a_publication_that_is_killed_anywhere_is_there_once(tmp_path: Path, kind: str) -> None:
    begun, passed = tmp_path / "begun", []
    begin(begun)
    for point, root in killed_at_each_point(publish_the_old_then_the_new, tmp_path, begun=begun):
        passed.append(point)
        assert place_of(root).read() in (seen(1, ROWS), seen(2, ROWS)), point
        publish(root)
        assert place_of(root).read() == seen(2, ROWS), point
        assert [path.name for path in root.rglob("*.tmp")] == [], point
    assert changes(passed) == CHANGES[kind]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_the_first_publication_that_is_killed_anywhere_is_there_once(
    tmp_path: Path, kind: str, server: Postgres
) -> None:
    begun, passed = tmp_path / "begun", []
    begin(begun)
    for point, root in killed_at_each_point(publish, tmp_path, begun=begun):
        passed.append(point)
        publish(root)
        assert place_of(root).read() == seen(2, ROWS), point
    assert changes(passed) == CHANGES[kind] | FIRST
    assert server.ask("SELECT relname FROM pg_class WHERE relname LIKE 'incumbent_staging%'") == []


def wait_and_publish(root: Path) -> None:
    with undisturbed():
        place_of(root).publish(old(store_of(root)))
    (root / "ready").touch()
    publish_content.BATCH_ROWS = 300  # many, with a moment between two of them
    publish(root)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_publication_that_is_killed_at_any_moment_is_there_once(tmp_path: Path, kind: str, seed: int) -> None:
    begin(root := tmp_path / "one")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=wait_and_publish, args=(root,))
    process.start()
    while not (root / "ready").exists():
        assert process.is_alive()
        time.sleep(0.005)
    time.sleep(random.Random(seed).uniform(0, 0.6))  # noqa: S311 - a moment, not a secret
    process.kill()
    process.join()
    assert place_of(root).read() in (seen(1, ROWS), seen(2, ROWS))
    publish(root)
    assert place_of(root).read() == seen(2, ROWS)
    with undisturbed():
        assert not place_of(root).publish(old(store_of(root))).is_there
    assert place_of(root).read() == seen(2, ROWS)


def sleep_and_publish_the_old(root: Path) -> None:
    """Be stopped by a signal in the middle of the rows, having been told before that they are what the table holds."""
    batches = Content.batches

    def stopped(self: Content) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches(self)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGSTOP)
            yield batch

    Content.batches = stopped  # type: ignore[method-assign]
    publish_content.BATCH_ROWS = 300
    with undisturbed():
        done = place_of(root).publish(old(store_of(root)))
    (root / "done").write_text(str(done.is_there))


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "bucket"], indirect=True)
def test_a_process_that_slept_through_a_newer_publication_writes_nothing(tmp_path: Path, kind: str) -> None:
    begin(root := tmp_path / "one")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=sleep_and_publish_the_old, args=(root,))
    process.start()
    assert process.pid is not None
    while "\nState:\tT" not in Path(f"/proc/{process.pid}/status").read_text():
        time.sleep(0.005)
    publish(root)
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert (root / "done").read_text() == "False"
    assert place_of(root).read() == seen(2, ROWS)


def test_between_its_batches_nothing_is_seen(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader looks after each batch."""
    begin(root := tmp_path / "one")
    place, batches, looked = place_of(root), Content.batches, []
    with undisturbed():
        place.publish(old(store_of(root)))

    def watched(self: Content) -> Iterator[pa.RecordBatch]:
        for batch in batches(self):
            yield batch
            looked.append(place.read())

    monkeypatch.setattr(publish_content, "BATCH_ROWS", ROWS // 4)
    monkeypatch.setattr(Content, "batches", watched)
    content = content_of(store_of(root), KEY)
    assert content is not None
    place.publish(content)
    assert looked == [seen(1, ROWS)] * 4
    assert place.read() == seen(2, ROWS)
