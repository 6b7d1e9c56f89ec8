"""Ray's Jobs API as its documentation has it, in this process: what a client asked for, and what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any


class JobsServer:
    """Jobs that a test says the states and logs of.

    Attributes:
        url: Where it is.
        token: The one that it takes; empty for none.
        states: Submission id to state.
        logs: Submission id to log.
        submitted: Bodies of submissions.
        stopped: Submission ids that were asked to end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""
        self.ray = version("ray")
        self.states: dict[str, str] = {}
        self.logs: dict[str, str] = {}
        self.submitted: list[dict[str, Any]] = []
        self.stopped: list[str] = []

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, Any]:
        if self.token and token != f"Bearer {self.token}":
            return 401, "Unauthorized"
        if path == "/api/version":
            return 200, {"version": "4", "ray_version": self.ray}
        parts = path.removeprefix("/api/jobs/").split("/")
        if parts == [""]:
            if method == "POST":
                self.submitted.append(body)
                self.states[body["submission_id"]] = "PENDING"
                return 200, {"submission_id": body["submission_id"]}
            return 200, [{"submission_id": job, "status": state} for job, state in self.states.items()]
        job = parts[0]
        if job not in self.states:
            return 404, f"Job {job} does not exist"
        if parts[1:] == ["logs"]:
            return 200, {"logs": self.logs.get(job, "")}
        if parts[1:] == ["stop"]:
            self.stopped.append(job)
            return 200, {"stopped": True}
        return 200, {"submission_id": job, "status": self.states[job]}


@contextmanager
def jobs_server() -> Iterator[JobsServer]:
    """Serve until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, found = jobs.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do  # noqa: N815 - the server calls them so

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    jobs = JobsServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield jobs
    finally:
        server.shutdown()
        server.server_close()
