"""The places that a store may lie in; what is promised of one is tested on all of them."""

from pathlib import Path

import pytest
from tests.s3_server import BUCKET

from incumbent.store.blobs import Blobs
from incumbent.store.local import LocalBlobs
from incumbent.store.memory import MemoryBlobs
from incumbent.store.s3 import S3Blobs


@pytest.fixture(params=["local", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty place of each kind."""
    if request.param == "local":
        return LocalBlobs(tmp_path / "store")
    if request.param == "memory":
        return MemoryBlobs()
    return S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", request.getfixturevalue("s3_options"))
