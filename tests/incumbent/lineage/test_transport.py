"""Events reach a file, or a real endpoint that takes nothing but the spec; and what happens when they do not."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.incumbent.lineage.runs import naming, runs
from tests.openlineage.schemas import endpoint

from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError
from incumbent.lineage import transport
from incumbent.lineage.event import events_of
from incumbent.lineage.transport import REFUSED, UNREACHABLE, UNWRITABLE, Endpoint, NotTold, transport_to

pytestmark = pytest.mark.unit
EVENTS = [event for run in runs(naming()) for event in events_of(naming(), run)]
TOKEN = "a-secret-token"


def test_an_endpoint_takes_every_event_and_the_token(tmp_path: Path) -> None:
    with endpoint(tmp_path, TOKEN) as running:
        transport_to(running.url, TOKEN).tell(EVENTS)
        assert running.took() == EVENTS
        with pytest.raises(NotTold, match="HTTP status 401") as caught:
            transport_to(f"{running.url}/api/v1/lineage", "another").tell(EVENTS)
        assert caught.value.reason == REFUSED
        with pytest.raises(NotTold, match="400"):
            transport_to(running.url, TOKEN).tell([{**EVENTS[0], "eventTime": "yesterday"}])
        with pytest.raises(NotTold, match="404"):
            transport_to(f"{running.url}/elsewhere", TOKEN).tell(EVENTS)


def test_an_endpoint_that_is_away_or_hangs_is_waited_for_no_longer_than_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotTold, match="TimeoutError") as caught:
            Endpoint(f"http://127.0.0.1:{port}", timeout_s=0.1).tell(EVENTS)
        assert caught.value.reason == UNREACHABLE
    with pytest.raises(NotTold, match="ConnectionRefusedError"):
        Endpoint(f"http://127.0.0.1:{port}").tell(EVENTS)


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/stolen")
            self.end_headers()

        def do_GET(self) -> None:
            seen.append(self.path)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_no_redirect_takes_the_token_elsewhere(redirecting: tuple[str, list[str]]) -> None:
    url, seen = redirecting
    with pytest.raises(NotTold, match="302"):
        Endpoint(url, TOKEN).tell(EVENTS)
    assert seen == [transport.ENDPOINT]


def test_a_file_holds_whole_events_of_many_writers(tmp_path: Path) -> None:
    file = tmp_path / "new" / "events.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: transport_to(str(file)).tell(EVENTS), range(16)))
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert found == EVENTS * 16
    with pytest.raises(NotTold) as caught:
        transport_to(str(tmp_path)).tell(EVENTS)
    assert caught.value.reason == UNWRITABLE


@pytest.mark.parametrize("address", ["ftp://host", "https://ann:pw-1@host", "https://host/?key=pw-1", "http://"])
def test_an_address_with_a_password_is_refused_and_not_repeated(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"INCUMBENT_OPENLINEAGE": address}, tmp_path)
    assert "pw-1" not in str(caught.value)


def test_settings_name_the_place_and_the_databases(tmp_path: Path) -> None:
    given = {"INCUMBENT_OPENLINEAGE": "https://host/api/v1/lineage",
             "INCUMBENT_OPENLINEAGE_DATABASES": "a=postgres://db:5432/sales, b=snowflake://org-acct/dwh"}  # fmt: skip
    found = Settings.from_env(given, tmp_path)
    assert found.lineage_databases == {"a": ("postgres://db:5432", "sales"), "b": ("snowflake://org-acct", "dwh")}
    assert (found.lineage, Settings.from_env({}, tmp_path).lineage) == ("https://host/api/v1/lineage", "")
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"INCUMBENT_OPENLINEAGE_DATABASES": "a=postgres://ann:pw-1@db/sales"}, tmp_path)
    assert "pw-1" not in str(caught.value)
    assert found.environment()["INCUMBENT_OPENLINEAGE_DATABASES"] == given["INCUMBENT_OPENLINEAGE_DATABASES"].replace(
        ", ", ","
    )
