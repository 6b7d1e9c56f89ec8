"""Run a script of the user's own in a process group of its own, which ends with the task, whatever ends the task."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from incumbent.errors import TrainingError
from incumbent.estimators import script_guard

LOG = logging.getLogger(__name__)
# All that a script gets of the task's environment, where Airflow's secrets and the store's are.
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")
LINE = 4096  # a line without an end is told in parts


def run_script(script: Path, seconds: float, threads: int) -> None:
    """Run a script with this Python in its own folder, and tell its output line by line.

    Args:
        script: The script; its folder is its working folder, its home, and where it may write.
        seconds: After so many it is ended.
        threads: How many it should use.

    Raises:
        TrainingError: It failed, or was ended.
    """
    command = [sys.executable, "-I", script_guard.__file__, script.name]
    process = subprocess.Popen(
        command, cwd=script.parent, env=_environment(script.parent, threads), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        for line in iter(lambda: process.stdout.readline(LINE) if process.stdout else "", ""):
            LOG.info("%s: %s", script.name, line.rstrip())
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        timer.cancel()
        os.killpg(process.pid, signal.SIGKILL)  # the guard is not waited for yet: the number is still its group's
        process.communicate()
    code = process.returncode
    if code or late.is_set():
        raise TrainingError(
            "the training script took too long" if late.is_set() else "the training script failed",
            where="train.script in model.yaml",
            expected=f"an end within {seconds:g} s" if late.is_set() else "exit code 0",
            found="none" if late.is_set() else f"signal {code - 128}" if code > 128 else f"exit code {code}",
            next_step="raise train.script_hours, or make the script do less"
            if late.is_set()
            else "look at its output in the log of this task, and correct it",
        )


def _environment(home: Path, threads: int) -> dict[str, str]:
    given = {name: os.environ[name] for name in KEPT if name in os.environ}
    own = {"HOME": str(home), "TMPDIR": str(home), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(threads)}
    return given | own
