"""The official schemas, and an endpoint that takes nothing else: `python schemas.py PORT_FILE LOG_FILE [TOKEN]`."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

HERE = Path(__file__).parent
OWN = HERE.parents[1] / "docs" / "openlineage"
EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACETS = ("facets", "inputFacets", "outputFacets")


FORMATS = FormatChecker(("uuid",))  # of the others jsonschema checks nothing without more packages


@FORMATS.checks("date-time", ValueError)
def _is_time(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


@FORMATS.checks("uri", ValueError)
def _is_uri(value: object) -> bool:
    return bool(urlsplit(str(value)).scheme)


@cache
def registry() -> Registry:
    files = [HERE / "OpenLineage.json", *(HERE / "facets").glob("*.json"), *OWN.glob("*.json")]
    found = [Resource.from_contents(json.loads(file.read_text())) for file in files]
    return Registry().with_resources([(each.id(), each) for each in found])


@cache
def validator(url: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": url}, registry=registry(), format_checker=FORMATS)


def problems(event: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with an event by the official schemas: of the event, and of each facet by its own."""
    found = [each.message for each in validator(event["schemaURL"]).iter_errors(event)]
    if event["schemaURL"].partition("#")[0] != EVENT:
        found.append(f"another spec: {event['schemaURL']}")
    for key, facet in facets(event):
        url = facet["_schemaURL"]
        schema = registry().contents(url.partition("#")[0])
        if key not in schema["properties"]:
            found.append(f"{url} is no schema of a facet {key}")
        found += [f"{key}: {each.message}" for each in validator(url.partition("#")[0]).iter_errors({key: facet})]
        found += [f"{key}: {each.message}" for each in validator(url).iter_errors(facet)]
    return found


def facets(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every facet of an event with its name."""
    for holder in (event["run"], event["job"], *event.get("inputs", ()), *event.get("outputs", ())):
        for group in FACETS:
            yield from holder.get(group, {}).items()


@dataclass(frozen=True)
class Endpoint:
    """An endpoint in a process of its own.

    Attributes:
        url: Where it listens.
        log: What it took, one event a line, and `problems` of what it did not.
    """

    url: str
    log: Path

    def took(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@contextmanager
def endpoint(folder: Path, token: str = "") -> Iterator[Endpoint]:
    """Run an endpoint that takes what the schemas take."""
    port, log = folder / "port", folder / "took.jsonl"
    process = subprocess.Popen([sys.executable, __file__, str(port), str(log), token])
    try:
        end = time.monotonic() + 60
        while not port.exists() and time.monotonic() < end:
            time.sleep(0.05)
        yield Endpoint(f"http://127.0.0.1:{port.read_text()}", log)
    finally:
        process.kill()
        process.wait()


class Handler(BaseHTTPRequestHandler):
    """Takes events at OpenLineage's path, with the token, and writes each down; says 400 to what breaks the spec."""

    log: Path
    token = ""

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/api/v1/lineage":
            return self._say(404)
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            return self._say(401)
        found = problems(json.loads(data))
        with self.log.open("ab") as file:
            file.write(json.dumps({"problems": found}).encode() + b"\n" if found else data + b"\n")
        self._say(400 if found else 201)

    def _say(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    port, Handler.log = Path(sys.argv[1]), Path(sys.argv[2])
    Handler.token = sys.argv[3] if len(sys.argv) > 3 else ""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    port.with_suffix(".tmp").write_text(str(server.server_port))
    port.with_suffix(".tmp").rename(port)
    server.serve_forever()
