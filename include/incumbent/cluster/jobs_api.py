"""Ray's Jobs API over HTTP: importing Ray costs a second and 100 MB, and a task or a trigger only asks and waits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from incumbent.errors import ConfigError, UnavailableError

TIMEOUT_S = 30.0
RUNNING = ("PENDING", "RUNNING")
SUCCEEDED = "SUCCEEDED"
STOPPED = "STOPPED"
LOST = "LOST"
ADDRESS = re.compile(r"https?://[^\s/]+(/\S*)?")


@dataclass(frozen=True)
class JobsApi:
    """The jobs of one cluster.

    Attributes:
        address: Of its dashboard, such as `http://host:8265`.
        token: Empty where the cluster asks for none.
    """

    address: str
    token: str = ""

    @classmethod
    def of(cls, address: str, env: Mapping[str, str]) -> JobsApi:
        """Return the jobs of a cluster, with the token that Ray's own clients would use.

        Raises:
            ConfigError: This cannot be the address of a dashboard.
        """
        if not ADDRESS.fullmatch(address):
            raise ConfigError(
                "not an address of a Ray dashboard",
                where="environment variable INCUMBENT_RAY_ADDRESS",
                expected="http://HOST:PORT of the dashboard, which is on port 8265 unless somebody chose another",
                found=address,
                next_step="correct it where Airflow's workers and triggerer run",
            )
        if env.get("RAY_AUTH_MODE", "disabled") != "token":
            return cls(address)
        path = Path(env.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
        return cls(address, env.get("RAY_AUTH_TOKEN") or (path.read_text().strip() if path.exists() else ""))

    def ray_version(self) -> str:
        """Return the version of the cluster's Ray."""
        return str(self._ask("GET", "/api/version").json()["ray_version"])

    def states(self) -> dict[str, str]:
        """Return each submitted job's state by its submission id."""
        jobs = self._ask("GET", "/api/jobs/").json()
        return {job["submission_id"]: job["status"] for job in jobs if job.get("submission_id")}

    def state(self, job: str) -> str:
        """Return a job's state; `LOST` if the cluster does not know it, as after a restart of its head."""
        answer = self._ask("GET", f"/api/jobs/{job}", missing=True)
        return LOST if answer.status_code == httpx.codes.NOT_FOUND else str(answer.json()["status"])

    def submit(self, job: str, entrypoint: str, metadata: Mapping[str, str]) -> None:
        """Start a job; nothing happens if it was started before.

        It gets no environment of its own: a worker with one cannot be a process that Ray has ready.
        """
        if self.state(job) == LOST:
            self._ask(
                "POST", "/api/jobs/", {"entrypoint": entrypoint, "submission_id": job, "metadata": dict(metadata)}
            )

    def log(self, job: str) -> str:
        """Return what a job has printed so far; nothing for one that the cluster does not know."""
        answer = self._ask("GET", f"/api/jobs/{job}/logs", missing=True)
        return "" if answer.status_code == httpx.codes.NOT_FOUND else str(answer.json()["logs"])

    def stop(self, job: str) -> None:
        """Ask a job to end; nothing happens if it has ended."""
        self._ask("POST", f"/api/jobs/{job}/stop", missing=True)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, missing: bool = False) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = httpx.request(
                method, self.address.rstrip("/") + path, json=body, headers=headers, timeout=TIMEOUT_S
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._away(str(error) or type(error).__name__) from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise UnavailableError(
                "the Ray cluster refuses the token",
                where=self.address,
                expected="the token that its head was started with",
                found="another token" if self.token else "none",
                next_step="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH, or RAY_AUTH_TOKEN, where Airflow's "
                "workers and triggerer run, to what the cluster has",
            )
        if answer.is_error and not (missing and answer.status_code == httpx.codes.NOT_FOUND):
            raise self._away(f"HTTP {answer.status_code}: {' '.join(answer.text.split())[:300]}")
        return answer

    def _away(self, found: str) -> UnavailableError:
        return UnavailableError(
            "the Ray cluster does not answer",
            where=self.address,
            expected="the Jobs API",
            found=found[:300],
            next_step="look at the cluster, and at INCUMBENT_RAY_ADDRESS; for the local head see `incumbent doctor`",
        )
