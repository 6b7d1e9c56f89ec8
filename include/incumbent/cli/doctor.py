"""`incumbent doctor`: each process, its port, its memory and why it runs."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from incumbent.config import load_model, model_folders
from incumbent.embedded import processes, stack
from incumbent.embedded.memory import pss_mb
from incumbent.embedded.settings import Settings
from incumbent.errors import PipelineError

REFUSED = "refused"
OK, UNREADABLE = "ok", "unreadable"


@dataclass(frozen=True)
class Row:
    """One process of the stack: `state` is running, stopped (never started) or ended (should run).

    A store in a bucket has a row too: `sound`, or `refused`, with the reason. So has each model folder, by its name
    behind `model `: `ok`, or `unreadable`.
    """

    name: str
    state: str
    pid: int | None
    port: int | None
    memory_mb: float | None
    processes: int
    why: str
    log: str | None


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def doctor(arguments: argparse.Namespace) -> int:
    """Print what runs; the verdict is no when something that was started has ended, or a store or model is refused."""
    settings = Settings.from_env(os.environ)
    rows = examine(settings)
    ill = [row for row in rows if row.state in ("ended", REFUSED, UNREADABLE)]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 1 if ill else 0
    print(f"project {settings.root}, files in {settings.home}")
    print(f"{'process':<14} {'state':<8} {'pid':>8} {'port':>6} {'MB (PSS)':>9} {'count':>6}  why")
    for row in rows:
        if row.state in (OK, UNREADABLE):
            continue
        memory = f"{row.memory_mb:.0f}" if row.memory_mb is not None else "-"
        print(
            f"{row.name:<14} {row.state:<8} {row.pid or '-':>8} {row.port or '-':>6} {memory:>9} "
            f"{row.processes or '-':>6}  {row.why}"
        )
    total = sum(row.memory_mb or 0 for row in rows)
    print(f"{'together':<14} {'':<8} {'':>8} {'':>6} {total:>9.0f} {sum(row.processes for row in rows):>6}")
    for row in rows:
        if row.state in (OK, UNREADABLE):
            print(f"{row.name}: {row.why}")
    print(_next(rows, ill))
    return 1 if ill else 0


def examine(settings: Settings) -> list[Row]:
    """Return one row for each process the stack has or should have."""
    records = {record.name: record for record in processes.recorded(settings.run)}
    everyone = list(records.values())
    wanted = dict(stack.COMPONENTS) | ({} if settings.mlflow_is_external else {"mlflow": stack.MLFLOW_WHY})
    rows = []
    for name, why in wanted.items():
        record = records.pop(name, None)
        row = _row(record, everyone, settings) if record else Row(name, "stopped", None, None, None, 0, why, None)
        rows.append(row)
    rows += [_row(record, everyone, settings) for record in records.values()]
    rows += [_store_row(settings)] if settings.store.startswith("s3://") else []
    return [*rows, *(_model_row(path) for path in model_folders(settings.models))]


def _row(record: processes.ProcessRecord, everyone: list[processes.ProcessRecord], settings: Settings) -> Row:
    pids = [process.pid for process in processes.family(record, everyone)]
    state = "running" if processes.alive(record) else "ended"
    log = str(settings.run / "logs" / f"{record.name}.log")
    return Row(record.name, state, record.pid, record.port or None, pss_mb(pids), len(pids), record.why, log)


def _store_row(settings: Settings) -> Row:
    from incumbent.store.conditional import check_conditional_writes

    try:
        check_conditional_writes(settings.open_store().blobs)
    except PipelineError as error:
        return Row("store", REFUSED, None, None, None, 0, " ".join(str(error).split()), None)
    return Row("store", "sound", None, None, None, 0, f"conditional writes hold in {settings.store}", None)


def _model_row(path: Path) -> Row:
    """Return whether a model folder can be read: an Airflow without its DAGs does not say why on its first page."""
    from incumbent.validate.contract import load_contract

    try:
        folder = load_model(path)
        load_contract(folder.contract_path)
    except PipelineError as error:
        said = f"{error.what} ({error.where}); {error.next_step}"
        return Row(f"model {path.name}", UNREADABLE, None, None, None, 0, " ".join(said.split()), None)
    return Row(f"model {path.name}", OK, None, None, None, 0, OK, None)


def _next(rows: list[Row], ill: list[Row]) -> str:
    if ill:
        if ill[0].state == UNREADABLE:
            return f"Next: correct the folder of {ill[0].name}; its DAGs are not there until it can be read"
        what = "correct what the store's line says" if ill[0].state == REFUSED else f"read {ill[0].log}"
        return f"Next: {what}, then `incumbent up` starts it again"
    for row in rows:
        if (row.name, row.state) == ("api-server", "running"):
            # The port that it was started with: this shell's may be another.
            return f"Next: open http://localhost:{row.port}"
    return "Next: `incumbent up` starts the stack"
