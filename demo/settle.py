"""When everything that was dropped has been answered: the one function that the tests share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.api import ACTIVE, Airflow
from incumbent.config import Model
from incumbent.errors import UnavailableError
from incumbent.features.inputs import missing_sources
from incumbent.records import Hold
from incumbent.retrain.requests import unanswered
from incumbent.store import ModelStore
from incumbent.validate.arrivals import new_deliveries
from incumbent.validate.revisits import unanswered as asked_for

QUIET_LOOKS = 3
LOOK_S = 0.7


@dataclass
class Settler:
    """Waits until a model has nothing left to do.

    Keys arrive in any order in life; a demonstration and a test want one thing after the other, so
    that the same seed gives the same report.

    Attributes:
        api: Airflow.
        store: The model's store.
        model: The model.
        contract_path: Its `contract.yaml`.
        raw: Drop folder.
        watch: Called at each look; the demonstration watches trainings with it.
    """

    api: Airflow
    store: ModelStore
    model: Model
    contract_path: Path
    raw: Path
    watch: Callable[[], None] = field(default=lambda: None)

    def wait(self, what: str, timeout_s: float = 900.0) -> None:
        """Wait until every delivery is judged, every request is answered and no run is active.

        Raises:
            UnavailableError: It took too long, or a run failed; the message names the runs.
        """
        deadline = time.monotonic() + timeout_s
        quiet = 0
        while quiet < QUIET_LOOKS:
            self.watch()
            runs = [run for run in self.api.runs(state=[*ACTIVE, "failed"]) if self._mine(run)]
            self._fail_on_failed(what, [run for run in runs if run["state"] == "failed"])
            # The tables are looked at only when no run is under way: both cores are the trainings'.
            waiting = [f"{run['dag_id']} {run['state']}" for run in runs] or self._undone()
            quiet = 0 if waiting else quiet + 1
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{what} did not settle",
                    where=self.api.client.base_url.host,
                    expected=f"nothing left to do within {timeout_s:.0f} s",
                    found=", ".join(waiting),
                    next_step="look at the runs in Airflow's UI",
                )
            time.sleep(LOOK_S)

    def _undone(self) -> list[str]:
        """Return, in words, what the store and the drop folder say is still to be done."""
        left = [
            f"{source} {partition}".strip()
            for source in self.model.sources
            for partition in new_deliveries(self.store, self.model, self.contract_path, source, self.raw)
        ]
        left += [f"{each.action} {each.id}" for source in self.model.sources for each in asked_for(self.store, source)]
        left += [f"features {key}" for key in self._without_features()]
        return left + [f"request {request.id}" for request in unanswered(self.store)]

    def _without_features(self) -> list[str]:
        held = {hold.batch_digest for hold in self.store.records.all(Hold)}
        tables = [table for name, table in self.store.tables().items() if name.startswith("features/")]
        done = {key for table in tables for key in table.parts()}
        return [
            key
            for key, part in self.store.batches(self.model.batch_source).parts().items()
            if key not in done and part.digest not in held and not missing_sources(self.store, self.model, key)
        ]

    def _fail_on_failed(self, what: str, failed: list[dict[str, Any]]) -> None:
        if failed:
            raise UnavailableError(
                f"a run failed while {what}",
                where=", ".join(
                    f"{run['dag_id']} {run.get('partition_key') or run['dag_run_id']}" for run in failed[:5]
                ),
                expected="success",
                found=self.api.why_failed(failed[0]),
                next_step="correct what the log says; clear the task in Airflow's UI, or start over",
            )

    def _mine(self, run: dict[str, Any]) -> bool:
        return str(run["dag_id"]).startswith(f"{self.model.name}.")
