"""The places that a store may lie in; what is promised of one is tested on all of them."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from incumbent.store.blobs import Blobs
from incumbent.store.local import LocalBlobs
from incumbent.store.memory import MemoryBlobs
from incumbent.store.s3 import S3Blobs

BUCKET = "bucket"


@pytest.fixture(scope="session")
def s3_options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{endpoint}/moto-api/"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield {"endpoint": endpoint, "region": "us-east-1", "key": "key", "secret": "secret"}
    finally:
        server.kill()
        server.wait()


@pytest.fixture(params=["local", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty place of each kind."""
    if request.param == "local":
        return LocalBlobs(tmp_path / "store")
    if request.param == "memory":
        return MemoryBlobs()
    found = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", request.getfixturevalue("s3_options"))
    found.client.create_bucket(Bucket=BUCKET)
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except OSError:
        return False
