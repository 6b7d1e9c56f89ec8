"""A partition larger than the memory of who asks is walked and predicted again, batch by batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lived
import pytest
from lived import FEBRUARY, JANUARY
from months import runtime_of
from small_training import small_model

pytestmark = pytest.mark.slow
FEW, MANY = 200_000, 2_000_000
MORE = 500  # MB; it were 920 when each step held all rows
ASKED = """
import sys
from incumbent.cli.main import main
assert main(["prediction", "verify", "small", "--rows", "20"]) == 0
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("MB", int(high.split()[1]) // 1024)
"""


def used(home: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the most memory, in MB, of a process that verifies rows of a partition of so many."""
    home.mkdir()
    model = small_model(rounds=15, checkpoint_every=15, params={"max_depth": 3})
    runtime_of(home, model, lived.CONTRACT)
    (home / "small" / "model.yaml").write_text(json.dumps(model.model_dump(mode="json", exclude_defaults=True)))
    runtime = lived.opened(home)
    lived.deliver(runtime, JANUARY)
    lived.trained(runtime, JANUARY)
    monkeypatch.setattr(lived, "ROWS", rows)
    lived.deliver(runtime, FEBRUARY)
    lived.scored(runtime, FEBRUARY)
    monkeypatch.undo()
    places = {"HOME": home, "STORE": runtime.settings.store, "RAW": home / "raw", "MODELS": home}
    env = {**os.environ, **{f"INCUMBENT_{name}": str(place) for name, place in places.items()}}
    done = subprocess.run([sys.executable, "-c", ASKED], env=env, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def test_ten_times_the_rows_take_little_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (used(tmp_path / str(rows), rows, monkeypatch) for rows in (FEW, MANY))
    assert many - few < MORE, f"{few} MB for {FEW} rows, {many} MB for {MANY}"
