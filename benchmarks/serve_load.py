"""What Locust runs: requests at a constant rate, answered or not, each timed from the moment when it was due.

Run by `benchmarks/serve.py` in an environment of its own, which has Locust and nothing else.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, task
from locust.exception import StopUser

ORDER: dict[str, Any] = json.loads(Path(os.environ["SERVE_LOAD"]).read_text())


class Arrivals(FastHttpUser):  # type: ignore[misc]  # Locust is not installed where types are checked
    """One source of requests."""

    host = ORDER["host"]
    concurrency = 1000
    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def arrive(self) -> None:
        """Send every request when it is due, and write down what came of it."""
        bodies = Path(ORDER["bodies"]).read_text().splitlines()
        found: list[tuple[float, int, str]] = []
        began = time.perf_counter() + 0.5

        def one(due: float, body: str) -> None:
            with self.client.post(
                ORDER["path"], data=body, headers={"Content-Type": "application/json"}, catch_response=True
            ) as answer:
                answer.success()
                found.append((time.perf_counter() - due, answer.status_code, (answer.text or "")[:400]))

        waiting = []
        for at in range(ORDER["count"]):
            due = began + at / ORDER["rate"]
            gevent.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(gevent.spawn(one, due, bodies[at % len(bodies)]))
        gevent.joinall(waiting, timeout=60)
        Path(ORDER["out"]).write_text(json.dumps(found))
        self.environment.runner.quit()
        raise StopUser
