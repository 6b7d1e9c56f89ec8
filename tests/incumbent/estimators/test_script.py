"""A training script runs apart from the task, and never outlives it."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from incumbent.errors import TrainingError
from incumbent.estimators.script import run_script

pytestmark = pytest.mark.unit


def script(folder: Path, text: str) -> Path:
    path = folder / "train.py"
    path.write_text(text)
    return path


def is_gone(pid: int, within_s: float = 10) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_its_output_is_told_line_by_line_and_it_works_in_its_own_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "import sys, pathlib\nprint('one')\nprint('two', file=sys.stderr)\npathlib.Path('made').write_text('x')\n"
    with caplog.at_level(logging.INFO):
        run_script(script(tmp_path, text), 60, 1)
    assert [record.getMessage() for record in caplog.records] == ["train.py: one", "train.py: two"]
    assert (tmp_path / "made").read_text() == "x"


def test_it_gets_nothing_of_airflow_and_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "AIRFLOW_CONN_INCUMBENT_STORE": "{}", "AIRFLOW__CORE__FERNET_KEY": "k", "AWS_SECRET_ACCESS_KEY": "s",
        "INCUMBENT_STORE": "s3://x", "ANY_TOKEN": "t",
    }  # fmt: skip
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    run_script(script(tmp_path, "import os, json; json.dump(dict(os.environ), open('seen', 'w'))"), 60, 3)
    seen = (tmp_path / "seen").read_text()
    assert not [name for name in secrets if name in seen]
    assert '"OMP_NUM_THREADS": "3"' in seen
    assert f'"HOME": "{tmp_path}"' in seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("1 / 0", "exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
    ],
)
def test_one_that_fails_says_how(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(TrainingError, match="the training script failed") as caught:
        run_script(script(tmp_path, text), 60, 1)
    assert caught.value.found == found


CHILDREN = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
print("ready", flush=True)
"""


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="took too long") as caught:
        run_script(script(tmp_path, CHILDREN + "time.sleep(600)"), 3, 1)
    assert caught.value.expected == "an end within 3 s"
    assert all(is_gone(pid) for pid in pids(tmp_path))


def test_what_it_leaves_running_ends_with_it(tmp_path: Path) -> None:
    began = time.monotonic()
    run_script(script(tmp_path, CHILDREN), 300, 1)
    assert time.monotonic() - began < 60, "its child held the output open"
    assert all(is_gone(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_task_that_is_killed_takes_it_along(tmp_path: Path, how: signal.Signals) -> None:
    path = script(tmp_path, CHILDREN + "time.sleep(600)")
    program = (
        f"from pathlib import Path\nfrom incumbent.estimators.script import run_script\n"
        f"run_script(Path({str(path)!r}), 600, 1)"
    )
    task = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.2)
    task.send_signal(how)
    task.wait(timeout=30)
    assert all(is_gone(pid) for pid in pids(tmp_path))
