"""Airflow's REST API as the demonstration uses it: log in, look at runs, trigger a DAG."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from incumbent.errors import UnavailableError

ACTIVE = ("queued", "running")
PAGE = 100
LAST_LINES = 8


class Airflow:
    """One logged-in client.

    Args:
        url: Address of Airflow's UI.
        passwords: JSON file with one user and its password.
    """

    def __init__(self, url: str, passwords: Path) -> None:
        self.client = httpx.Client(base_url=url, timeout=30)
        ((self.user, self.password),) = json.loads(passwords.read_text()).items()
        self._log_in()

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of a GET below `/api/v2`; a server that is busy is asked again."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON of a POST below `/api/v2`."""
        return self._call("POST", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON of a PATCH below `/api/v2`."""
        return self._call("PATCH", path, json=body)

    def runs(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield the runs of all DAGs, or of those that the filters leave."""
        yield from self._pages("/dags/~/dagRuns", "dag_runs", filters)

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"/dags/{quote(run['dag_id'])}/dagRuns/{quote(run['dag_run_id'], safe='')}/taskInstances"
        found: list[dict[str, Any]] = self.get(path)["task_instances"]
        return found

    def why_failed(self, run: dict[str, Any]) -> str:
        """Return the failed tasks of a run with the last lines of each one's log."""
        return "\n".join(self._last_words(run, task) for task in self.tasks(run) if task["state"] == "failed")

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, partition: str | None = None) -> str:
        """Start a DAG by hand; return the run id."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if partition is not None:
            body["partition_key"] = partition
        return str(self.post(f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def clear(self, run: dict[str, Any]) -> None:
        """Let every task of a finished run run again."""
        path = f"/dags/{quote(run['dag_id'])}/dagRuns/{quote(run['dag_run_id'], safe='')}/clear"
        self.post(path, {"dry_run": False})

    def wait(self, dag_id: str, run_id: str, timeout_s: float = 300) -> str:
        """Wait for a run to end; return its state."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state = str(self.get(f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")["state"])
            if state not in ACTIVE:
                return state
            time.sleep(0.5)
        raise UnavailableError(
            "a run did not end in time",
            where=f"{dag_id} {run_id}",
            expected=f"an end within {timeout_s:.0f} s",
            found="still running",
            next_step="`incumbent doctor` shows whether a process has ended; then look at the run in Airflow's UI",
        )

    def _pages(self, path: str, key: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self.get(path, limit=PAGE, offset=offset, order_by="id", **filters)
            yield from page[key]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def _last_words(self, run: dict[str, Any], task: dict[str, Any]) -> str:
        path = f"/dags/{quote(run['dag_id'])}/dagRuns/{quote(run['dag_run_id'], safe='')}/taskInstances/"
        lines = self.get(f"{path}{task['task_id']}/logs/{task['try_number']}", full_content=True)["content"]
        words = [_words(line) for line in lines if isinstance(line, dict)]
        return "\n  ".join([f"{run['dag_id']} {task['task_id']}", *[found for found in words if found][-LAST_LINES:]])

    def _log_in(self) -> None:
        answer = self.client.post("/auth/token", json={"username": self.user, "password": self.password})
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _call(self, method: str, path: str, attempts: int = 5, **arguments: Any) -> Any:
        for attempt in range(attempts):
            try:
                answer = self.client.request(method, f"/api/v2{path}", **arguments)
            except httpx.TransportError:
                if attempt == attempts - 1:
                    raise
                time.sleep(1 + attempt)
                continue
            if answer.status_code == 401:
                self._log_in()
            elif answer.status_code < 500:
                answer.raise_for_status()
                return answer.json() if answer.content else None
            time.sleep(0.5 + attempt)
        answer.raise_for_status()
        return None


def _words(line: dict[str, Any]) -> str:
    """Return a log line as text, with the error in it if there is one."""
    errors = [f"{found.get('exc_type')}: {found.get('exc_value')}" for found in line.get("error_detail") or []]
    return " ".join([str(line.get("event", "")), *errors]).strip()
