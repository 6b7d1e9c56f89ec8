"""A server that speaks S3, in a process of its own.

Run as a script with a port it serves. It is moto's, whose threads look whether an object is there and create it in two
steps: on a busy machine two of eight that created the same one were told that they did, in 3 of 40 rounds. Here writes
take turns.
"""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import boto3

BUCKET = "bucket"
LIMIT_S = 60


@contextmanager
def s3_server(log: Path) -> Iterator[dict[str, str]]:
    """Start a server with one empty bucket; yield the options of `S3Blobs` for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(Path(__file__)), str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not _answers(f"{endpoint}/moto-api/"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        options = {"endpoint": endpoint, "region": "us-east-1", "key": "AKIDTEST", "secret": "only-for-tests"}
        boto3.client(
            "s3", endpoint_url=endpoint, region_name=options["region"],
            aws_access_key_id=options["key"], aws_secret_access_key=options["secret"],
        ).create_bucket(Bucket=BUCKET)  # fmt: skip
        yield options
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except OSError:
        return False


def serve(port: int) -> None:
    """Serve until killed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    application, turn = DomainDispatcherApplication(create_backend_app), Lock()

    def one_write_at_a_time(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        with turn:
            return list(application(environ, start_response))

    run_simple("127.0.0.1", port, one_write_at_a_time, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
