"""Run a script and end with whoever started this: `python -I script_guard.py SCRIPT`, at the head of its own group.

A task that is killed outright says goodbye to nobody; but the pipe that it held open is closed.
"""

import os
import signal
import subprocess
import sys
import threading


def main(script: str) -> int:
    """Return the script's exit code, or 128 and the signal that ended it."""
    running = subprocess.Popen([sys.executable, script], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_the_task, daemon=True).start()
    code = running.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # what the script has left running, and would hold the output open
    return code if code >= 0 else 128 - code


def _end_with_the_task() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
