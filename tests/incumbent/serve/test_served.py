"""The command and the real application on a Ray of its own, asked over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from small_served import KEY, SQL, seat, small

from incumbent.config import ModelFolder
from incumbent.store import ModelStore

pytestmark = pytest.mark.ray
PORT = 27480
URL = f"http://127.0.0.1:{PORT}"
TOKEN = "0123456789abcdef-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
START_S = 120
ROW = {"shop": "new", "row": 7, "at": "2020-01-09T10:00:00Z", "x": 1.5, "kind": "b"}


@dataclass
class Served:
    """A running server and the store that it reads."""

    store: ModelStore
    folder: ModelFolder
    process: psutil.Popen
    log: Path

    def ask(self, client: httpx.Client, **request: Any) -> httpx.Response:
        return client.post(f"{URL}/predict", json=request, headers=HEADERS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    store, folder = small(root, sql=SQL.replace("count(*) OVER ()", "1"))
    token, log = root / "token", root / "log"
    token.write_text(TOKEN)
    token.chmod(0o600)
    env = {
        **os.environ,
        "INCUMBENT_STORE": str(root / "store"),
        "INCUMBENT_MODELS": str(folder.path.parent),
        "INCUMBENT_HOME": str(root / "home"),
        "INCUMBENT_SERVE_TOKEN_FILE": str(token),
    }
    command = [sys.executable, "-m", "incumbent.cli.main", "serve", "--port", str(PORT)]
    with log.open("w") as output:
        process = psutil.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        _until_ready(process, log)
        yield Served(store, folder, process, log)
    finally:
        if process.poll() is None:
            for each in (*process.children(recursive=True), process):
                each.kill()


def _until_ready(process: psutil.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "Next: curl" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(log.read_text()[-3000:])
        time.sleep(0.2)


def test_requests_are_answered_or_refused_with_a_reason(served: Served) -> None:
    with httpx.Client(timeout=30) as client:
        published = served.ask(client, key={"shop": "s", "row": 0})
        assert (published.status_code, published.json()["source"]) == (200, "published")
        live = served.ask(client, row=ROW)
        assert (live.status_code, live.json()["source"], live.json()["partition"]) == (200, "live", KEY)
        assert served.ask(client, key={"shop": "s", "row": 10**6}).status_code == 404
        url = f"{URL}/predict"
        bodies = {"malformed_json": b"{", "wrong_request": b'{"key": {"shop": 1, "row": "x"}}'}
        found = {name: client.post(url, content=body, headers=HEADERS) for name, body in bodies.items()}
        found["too_large"] = client.post(url, content=b"x" * 10_000_000, headers=HEADERS)
        found["no_token"] = client.post(url, json={"key": {"shop": "s", "row": 0}})
        found["wrong_token"] = client.get(f"{URL}/openapi.json", headers={"Authorization": "Bearer other"})
        for reason, answer in found.items():
            assert (answer.json()["schema"], answer.json()["reason"]) == ("incumbent.error/1", reason)
            assert answer.status_code == answer.json()["status"]
        assert client.get(f"{URL}/metrics").status_code == 401
        assert client.get(f"{URL}/health").json() == {"status": "ok"}
        assert 'source="live"' in client.get(f"{URL}/metrics", headers=HEADERS).text
        assert "SmallRequest" in client.get(f"{URL}/openapi.json", headers=HEADERS).text
    assert TOKEN not in served.log.read_text()
    connections = [each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == PORT]
    assert {each.laddr.ip for each in connections} == {"127.0.0.1"}


def test_a_champion_changes_without_a_failed_request(served: Served) -> None:
    ended, found = threading.Event(), list[tuple[int, int]]()

    def ask(number: int) -> None:
        with httpx.Client(timeout=30) as client:
            at = 0
            while not ended.is_set():
                at += 1
                answer = served.ask(client, row={**ROW, "row": number * 100_000 + at})
                found.append((answer.status_code, answer.json().get("generation", 0)))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for each in clients:
        each.start()
    try:
        for generation in (2, 3):
            seat(served.store, served.folder, generation)
            deadline = time.monotonic() + 60
            while generation not in {seen for _, seen in found[-20:]} and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        ended.set()
        for each in clients:
            each.join()
    assert {status for status, _ in found} == {200}
    assert {generation for _, generation in found} == {1, 2, 3}
    assert len(found) > 100


def test_it_ends_with_its_command_and_leaves_nothing(served: Served) -> None:
    family = served.process.children(recursive=True)
    assert family
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0, served.log.read_text()
    _, left = psutil.wait_procs(family, timeout=20)
    assert not left
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{URL}/health")


def test_a_server_that_others_can_reach_needs_a_token(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "incumbent.cli.main", "serve", "--no-token", "--host", "0.0.0.0"]  # noqa: S104
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "no token is asked for where others can reach it")
