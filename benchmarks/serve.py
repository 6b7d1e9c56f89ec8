"""What an answer costs online, beside `mlflow models serve`: `make bench ONLY=serve ROWS=1000000`.

100 requests a second at a constant rate by Locust, which has one core; the server has the other. ROWS are published, of
a model of twenty features and a hundred trees; a live row is one that nobody scored, with one feature that is looked
up. MLflow gets the features as they are. Below 100,000 rows it is a short try, and no measurement.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import score_table, serve_table
from benchmarks.harness import Figure, at_least, figure

ROWS = "INCUMBENT_BENCH_ROWS"
LOCUST = "locust==2.47.0"
RATE, PORT, MLFLOW_PORT = 100, 27460, 27465
SERVER_CORE, TOOL_CORE = "0", "1"
START_S = 180


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    rows = int(os.environ.get(ROWS, 1_000_000))
    is_try = rows < 100_000
    seconds, changing = (5, 20) if is_try else (30, 110)
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as name:
        folder = Path(name)
        tool = _tool(folder)
        if tool is None:
            return
        _apart("build", folder, rows)
        live = [{"row": serve_table.live_row(at, rows)} for at in range(10_000)]
        keys = [{"key": {"row": at * 7919 % rows}} for at in range(10_000)]
        with _ours(folder) as url:
            _load(tool, folder, url, "/predict", live, 3)  # both are warm
            published = _load(tool, folder, url, "/predict", keys, seconds)
            alive = _load(tool, folder, url, "/predict", live, seconds)
            yield figure("published_p50", _at(published, 0.5), "ms", goal=5)
            yield figure("published_p99", _at(published, 0.99), "ms", goal=25)
            yield figure("live_p50", _at(alive, 0.5), "ms")
            yield figure("live_p99", _at(alive, 0.99), "ms", goal=50)
            yield figure("failed", _failed(published) + _failed(alive), "", goal=0)
            mixed = [each for pair in zip(live, keys, strict=True) for each in pair]
            changed = _load(tool, folder, url, "/predict", mixed, changing, changes=serve_table.GENERATIONS - 1)
        seen = {json.loads(text)["generation"] for _, status, text in changed if status == 200 and '"live"' in text}
        yield at_least("changes_of_the_champion_seen", len(seen) - 1, "", serve_table.GENERATIONS - 1)
        yield at_least("requests_over_them", len(changed), "", 2_000 if is_try else 10_000)
        yield figure("failed_over_them", _failed(changed), "", goal=0)
        yield figure("p99_over_them", _at(changed, 0.99), "ms")
        with _mlflow(folder) as url:
            frames = [_frame(each["row"]) for each in live]
            _load(tool, folder, url, "/invocations", frames, 3)
            peer = _load(tool, folder, url, "/invocations", frames, seconds)
        yield figure("mlflow_p50", _at(peer, 0.5), "ms")
        yield figure("mlflow_p99", _at(peer, 0.99), "ms")
        yield figure("mlflow_failed", _failed(peer), "")
        yield figure("published_p99_of_mlflow", _at(published, 0.99) / _at(peer, 0.99), "ratio")
        yield figure("live_p99_of_mlflow", _at(alive, 0.99) / _at(peer, 0.99), "ratio")


Answers = list[tuple[float, int, str]]


def build(folder: Path, rows: str) -> None:
    """Write what is asked."""
    serve_table.build(folder, int(rows))


def seat(folder: Path, generation: str) -> None:
    """Change the champion."""
    serve_table.seat(folder, int(generation))


def _tool(folder: Path) -> Path | None:
    """Return Locust, installed into an environment of its own; None, with a line, where that is not possible."""
    uv = Path(sys.executable).with_name("uv")
    python = folder / "locust" / "bin" / "python"
    for command in (
        [uv, "venv", "-q", folder / "locust", "--python", sys.executable],
        [uv, "pip", "install", "-q", "--python", python, LOCUST],
    ):
        try:
            subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            said = " ".join(str(getattr(error, "stderr", "") or error).split())[-200:]
            print(f"serve: {LOCUST} cannot be installed, and nothing is measured without it: {said}", flush=True)
            return None
    return python


def _apart(step: str, folder: Path, *more: object) -> None:
    command = [sys.executable, "-m", "benchmarks.serve", step, str(folder), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} failed: {done.stdout[-1000:]}{done.stderr[-3000:]}")


def _on(core: str, command: Sequence[str]) -> list[str]:
    pinned = shutil.which("taskset") and (os.cpu_count() or 1) > 1
    return ["taskset", "-c", core, *command] if pinned else list(command)


@contextmanager
def _ours(folder: Path) -> Iterator[str]:
    env = {
        **os.environ,
        "INCUMBENT_STORE": str(folder / "store"),
        "INCUMBENT_MODELS": str(folder / "models"),
        "INCUMBENT_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-m", "incumbent.cli.main", "serve", "--no-token", "--port", str(PORT)]
    with _running(folder / "ours.log", command, env, f"http://127.0.0.1:{PORT}", "/health") as url:
        yield url


@contextmanager
def _mlflow(folder: Path) -> Iterator[str]:
    model = score_table.mlflow_model(folder)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(MLFLOW_PORT)]
    command += ["-h", "127.0.0.1", "--env-manager", "local"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with _running(folder / "mlflow.log", command, env, f"http://127.0.0.1:{MLFLOW_PORT}", "/ping") as url:
        yield url


@contextmanager
def _running(log: Path, command: list[str], env: dict[str, str], url: str, path: str) -> Iterator[str]:
    """Start a server on its core, wait until it answers, and end it with all that it started."""
    with log.open("w") as output:
        process = subprocess.Popen(
            _on(SERVER_CORE, command), env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(url + path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command)} does not answer: {log.read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of this machine
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _load(
    tool: Path, folder: Path, url: str, path: str, bodies: Sequence[Any], seconds: float, changes: int = 0
) -> Answers:
    """Return latency, status and the begin of each answer, while the champion changes so many times."""
    (folder / "bodies").write_text("\n".join(json.dumps(each) for each in bodies))
    (folder / "answers.json").unlink(missing_ok=True)
    order = {
        "host": url, "path": path, "rate": RATE, "count": int(RATE * seconds),
        "bodies": str(folder / "bodies"), "out": str(folder / "answers.json"),
    }  # fmt: skip
    (folder / "order.json").write_text(json.dumps(order))
    script = str(Path(__file__).with_name("serve_load.py"))
    command = [
        str(tool),
        "-m",
        "locust",
        "-f",
        script,
        "--headless",
        "-u",
        "1",
        "-r",
        "1",
        "--skip-log",
        "--only-summary",
    ]
    env = {**os.environ, "SERVE_LOAD": str(folder / "order.json")}
    process = subprocess.Popen(
        _on(TOOL_CORE, command), env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for change in range(changes):
        time.sleep(seconds / (changes + 2))  # time is left for the last to be seen
        _apart("seat", folder, change + 2)
    said, _ = process.communicate(timeout=seconds + 120)
    if not (folder / "answers.json").exists():
        raise RuntimeError(f"the load tool failed: {said[-3000:]}")
    found: Answers = [tuple(each) for each in json.loads((folder / "answers.json").read_text())]
    return found


def _at(answers: Answers, share: float) -> float:
    """Return a quantile of the latencies in milliseconds."""
    times = [seconds * 1000 for seconds, _, _ in answers]
    return statistics.quantiles(times, n=1000, method="inclusive")[round(share * 1000) - 1]


def _failed(answers: Answers) -> int:
    return sum(status != 200 for _, status, _ in answers)


def _frame(row: dict[str, Any]) -> dict[str, Any]:
    """Return what MLflow is asked for a row: the features themselves."""
    code = float(score_table.LEVELS.index(row[score_table.TEXT]))
    values = [code, code / 15 - 1, *(row[name] for name in serve_table.NUMBERS[1:])]
    return {"dataframe_split": {"columns": list(score_table.FEATURES), "data": [values]}}


if __name__ == "__main__":
    {"build": build, "seat": seat}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
