"""One PostgreSQL server for these tests, and a place of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import Postgres, postgres
from tests.incumbent.publish.places import Place, bucket_place, folder_place, postgres_place, sqlite_place
from tests.s3_server import BUCKET

from incumbent.store import ModelStore, Store
from incumbent.store.s3 import S3Blobs


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path / "store").model("small")


@pytest.fixture(params=["postgres", "sqlite", "folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        return postgres_place(request.getfixturevalue("server"), tmp_path.name.replace("-", "_").lower())
    if request.param == "sqlite":
        return sqlite_place(tmp_path / "predictions.sqlite")
    if request.param == "folder":
        return folder_place(tmp_path / "published")
    blobs = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", request.getfixturevalue("s3_options"))
    return bucket_place(blobs, tmp_path / "read")
