"""`make demo`: the real year of flights, month by month, through the running scheduler."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from demo import raw_data, timeline
from demo.api import Airflow
from demo.killer import Killer
from demo.memory import MemoryWatch
from demo.references import monthly, never
from demo.report import Reader, closed_share, median_task_gap_s, summary
from demo.settle import Settler
from incumbent.cli.stack import addresses
from incumbent.config import Model, load_model
from incumbent.embedded import stack
from incumbent.embedded.settings import Settings
from incumbent.errors import PipelineError, UnavailableError
from incumbent.records import Hold
from incumbent.store import ModelStore
from incumbent.train.checkpoints import FOLDER

FAULTY_MONTH = 3  # position in the year whose first delivery is damaged; the last month of a shorter demonstration
KILL_AFTER_ROUND = 75
SECOND_MODEL_MONTHS = 2
MODELS = ("flights_delay", "flights_airtime")


class Demo:
    """One demonstration over one fresh home.

    Args:
        settings: Folders and ports.
        months: How many months of 2013.
        seed: Seed of the injected fault.
    """

    def __init__(self, settings: Settings, months: int, seed: int) -> None:
        self.settings = settings
        self.months = [f"2013-{month:02d}" for month in range(1, months + 1)]
        self.seed = seed
        self.memory = MemoryWatch(settings.run)
        self.started = time.monotonic()
        self.began = datetime.now(UTC).isoformat()
        self.first_s: dict[str, float] = {}

    def run(self) -> dict[str, object]:
        """Replay the months and return the report."""
        print("Starting Airflow and MLflow …", flush=True)
        stack.up(self.settings)
        print(*addresses(self.settings), sep="\n", flush=True)
        self.memory.start()
        folder = load_model(self.settings.models / "flights_delay")
        model = folder.model
        store = self.settings.open_store().model(model.name)
        api = Airflow(self.settings.airflow_url, self.settings.passwords_file)
        killer = Killer(store.work / FOLDER, self.settings.run, KILL_AFTER_ROUND, print)
        settler = Settler(api, store, model, folder.contract_path, self.settings.raw, killer.look)
        reader = Reader(store, model)
        print(
            f"\n{model.name}, one line a month as it settles: about a minute each on two cores\n{timeline.header()}",
            flush=True,
        )
        for source in raw_data.ONCE:
            raw_data.write_once(self._drop(model), source)
        for position, month in enumerate(self.months):
            before = len(store.ledger())
            self._month(month, position, model, store, settler, killer)
            entry = reader.entry(month)
            said = timeline.reasons([*entry["why"], *reader.rollbacks(before)])
            print(timeline.line(entry), *said, sep="\n", flush=True)
        self._second_model(api)
        self._maintenance(api)
        own_s = time.monotonic() - self.started
        return self._report(reader, api, model, store, own_s)

    def _month(
        self, month: str, position: int, model: Model, store: ModelStore, settler: Settler, killer: Killer
    ) -> None:
        drop = self._drop(model)
        flights = raw_data.write_partition(drop, "flights", month)
        if position == min(FAULTY_MONTH, len(self.months)) - 1:
            rows = raw_data.damage_distance(flights, seed=self.seed)
            raw_data.write_partition(drop, "weather", month)
            settler.wait(f"the damaged delivery of {month}")
            self._show_hold(month, rows, store)
            raw_data.write_partition(drop, "flights", month)
        raw_data.write_partition(drop, "weather", month)
        settler.wait(f"the flights of {month}")
        self._note("predictions", bool(store.predictions.parts()))
        killer.armed = store.champion() is not None  # not the first training: the seat must be taken once in peace
        raw_data.write_partition(drop, "outcomes", month)
        settler.wait(f"the outcomes of {month}")
        self._note("champion", store.champion() is not None)

    def _note(self, what: str, there: bool) -> None:
        """Keep the seconds until something was there for the first time."""
        if there:
            self.first_s.setdefault(what, round(time.monotonic() - self.started, 1))

    def _show_hold(self, month: str, rows: int, store: ModelStore) -> None:
        holds = [hold for hold in store.records.all(Hold) if hold.partition == month]
        predicted = store.predictions.part(month)
        if not holds or predicted is not None:
            raise UnavailableError(
                "the damaged delivery was not held",
                where=f"flights {month}",
                expected="a hold and no predictions",
                found=f"{len(holds)} holds, {0 if predicted is None else predicted.rows} predictions",
                next_step="look at the features run of that month",
            )
        print(f"  fault: distance × 100 on {rows} rows of {month} → {holds[0].message} 0 predictions.", flush=True)

    def _second_model(self, api: Airflow) -> None:
        folder = load_model(self.settings.models / "flights_airtime")
        model = folder.model
        store = self.settings.open_store().model(model.name)
        settler = Settler(api, store, model, folder.contract_path, self.settings.raw)
        for month in self.months[:SECOND_MODEL_MONTHS]:
            for source in ("flights", "outcomes"):
                raw_data.write_partition(self._drop(model), source, month)
                settler.wait(f"{source} of {month} for {model.name}")
        champion = store.champion()
        print(f"\n{model.name}: generation {champion.generation if champion else 0} after {SECOND_MODEL_MONTHS} months")

    def _maintenance(self, api: Airflow) -> None:
        run = api.trigger("incumbent.maintenance")
        state = api.wait("incumbent.maintenance", run)
        print(f"incumbent.maintenance: {state}")

    def _report(self, reader: Reader, api: Airflow, model: Model, store: ModelStore, own_s: float) -> dict[str, object]:
        entries = [reader.entry(month) for month in self.months]
        scored = [entry["partition"] for entry in entries if entry["auc"] is not None]
        print("\nComputing the references, a training a month …\n\npartition  never retrained  every month", flush=True)
        before = dict(zip(self.months[1:], self.months, strict=False))
        definition = store.objects.put((self.settings.models / model.name / "features.sql").read_bytes())
        references_from = time.monotonic()
        low = never(store, model, scored)
        high = monthly(
            store, model, definition, scored, before.__getitem__,
            lambda key, auc: print(f"{key:<10} {low[key]:<16.4f} {auc:.4f}", flush=True),
        )  # fmt: skip
        references_s = time.monotonic() - references_from
        for entry in entries:
            entry["auc_never"] = low.get(entry["partition"])
            entry["auc_monthly"] = high.get(entry["partition"])
        trainings = reader.trainings()
        dags = [f"{model.name}.train", f"{model.name}.monitor"]
        figures = {
            "first_champion_s": self.first_s.get("champion"),
            "first_predictions_s": self.first_s.get("predictions"),
            "wall_s": round(own_s, 1),
            "references_s": round(references_s, 1),
            "peak_memory_mb": round(self.memory.peak_mb),
            "peak_task_mb": round(self.memory.peak_task_mb),
            "median_task_gap_s": median_task_gap_s(api, dags, self.began) or 0.0,
        }
        found = summary(entries, trainings, len(reader.promotions()), figures)
        return {
            "schema": "incumbent.demo/1",
            "began": self.began,
            "ended": datetime.now(UTC).isoformat(),
            "partitions": entries,
            "trainings": trainings,
            "summary": found,
        }

    def _drop(self, model: Model) -> Path:
        return self.settings.raw / model.name


def fresh_home(settings: Settings) -> None:
    """Make room for a demonstration: only what an earlier one made is removed.

    Raises:
        UnavailableError: The home holds something that no demonstration made.
    """
    mark = settings.home / "demo" / "made-by-demo"
    held = [settings.home] if not mark.exists() else [settings.home / "raw", settings.home / "store"]
    others = sorted(
        path.name
        for folder in held
        if folder.is_dir()
        for path in folder.iterdir()
        if path.name not in MODELS and not path.name.startswith((".", "_"))
    )
    if others:
        raise UnavailableError(
            "the home folder is in use",
            where=str(settings.home),
            expected="an empty folder, or one that a demonstration made and nobody has used since",
            found=", ".join(others[:8]),
            next_step="export INCUMBENT_HOME=some/other/folder, or move this one away",
        )
    stack.down(settings)
    shutil.rmtree(settings.home, ignore_errors=True)
    mark.parent.mkdir(parents=True)
    mark.touch()


def show(report: dict[str, object], path: Path) -> None:
    """Print the summary."""
    found = report["summary"]
    assert isinstance(found, dict)  # noqa: S101 - the report's own form
    share = closed_share(found)
    print(f"\nmean AUC        {found['mean_auc']:.4f}   of the months that were scored, from the predictions table")
    print(f"never retrained {found['mean_auc_never']:.4f}")
    print(f"every month     {found['mean_auc_monthly']:.4f}")
    if share is None:
        print("the three are one model's so far: more months tell them apart")
    else:
        runs = f"{found['trainings']} trainings of {found['candidates']} candidates, {found['promotions']} promotions"
        print(f"gap closed      {share:.0%} of the way from never to every month, with {runs}")
    print(f"wall {found['wall_s']} s without the references ({found['references_s']} s); report: {path}")
    print(
        "All of it is still up in Airflow and MLflow: `make up` says where, and how to log in; `make down` stops them."
    )


def main() -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--months", type=int, default=12, choices=range(2, 13), metavar="2-12")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    settings = Settings.from_env(os.environ)
    try:
        fresh_home(settings)
        report = Demo(settings, arguments.months, arguments.seed).run()
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 3
    path = settings.home / "demo" / "report.json"
    path.write_text(json.dumps(report, indent=1, sort_keys=True))
    show(report, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
