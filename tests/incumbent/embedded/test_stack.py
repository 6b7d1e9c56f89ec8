import json
import os
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import httpx
import psutil
import pytest

from incumbent.embedded import processes, stack
from incumbent.embedded.settings import Settings
from incumbent.errors import UnavailableError

PROJECT = Path(__file__).parents[3]


def _free_base() -> int:
    """Return a port whose neighbour is free as well."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            base = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", base + 1))
            except OSError:
                continue
        if base < 60_000:  # above are the ports of Ray's workers
            return base


@pytest.mark.unit
@pytest.mark.parametrize(("offset", "name"), [(0, "api-server"), (1, "mlflow")])
def test_a_taken_port_is_named_with_its_variable_and_nothing_starts(tmp_path: Path, offset: int, name: str) -> None:
    base = _free_base()
    settings = Settings.from_env({"INCUMBENT_PORT_BASE": str(base)}, tmp_path)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", base + offset))
        squatter.listen()
        with pytest.raises(UnavailableError) as error:
            stack.up(settings)
    assert f"port {base + offset} is taken" in str(error.value)
    assert name in str(error.value)
    assert "INCUMBENT_PORT_BASE" in str(error.value)
    assert processes.recorded(settings.run) == []


@pytest.mark.unit
def test_down_of_nothing_stops_nothing(tmp_path: Path) -> None:
    assert stack.down(Settings.from_env({}, tmp_path)) == []


@pytest.mark.unit
@pytest.mark.parametrize(("name", "fails"), [("ray", False), ("mlflow", True)])
def test_a_component_that_ends_fails_the_start_but_not_a_ray_head_that_was_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fails: bool
) -> None:
    settings = Settings.from_env({}, tmp_path)
    ended = processes.ProcessRecord(name, 2**22 + 1, 0.0, "it ended", 0)
    monkeypatch.setattr(processes, "recorded", lambda _: [ended])
    answers = iter([False, True])
    with pytest.raises(UnavailableError, match="mlflow ended") if fails else nullcontext():
        stack._wait(settings, "airflow", lambda: next(answers))


@pytest.mark.stack
@pytest.mark.slow
def test_up_is_healthy_and_on_loopback_and_down_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "airflow_settings.yaml").write_text((PROJECT / "airflow_settings.yaml").read_text())
    home = {"INCUMBENT_ROOT": str(tmp_path), "INCUMBENT_PORT_BASE": str(_free_base())}
    settings = Settings.from_env(home)

    def incumbent(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "incumbent.cli.main", *words]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("INCUMBENT", "MLFLOW"))}
        return subprocess.run(command, env=inherited | home, capture_output=True, text=True, check=True, timeout=300)

    try:
        incumbent("up")
        family = [member for record in processes.recorded(settings.run) for member in processes.family(record)]
        heard = {c.laddr.ip for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        assert heard == {"127.0.0.1"}
        assert _pool_slots(settings, "training") == 1
        rows = json.loads(incumbent("doctor", "--json").stdout)
        assert {row["name"] for row in rows if row["state"] == "running"} >= {*stack.COMPONENTS, "mlflow"}
        began = time.monotonic()
        assert "already up" in incumbent("up").stdout
        assert time.monotonic() - began < 5
    finally:
        incumbent("down")
    assert [process.pid for process in family if process.is_running()] == []


def _pool_slots(settings: Settings, pool: str) -> int:
    password = json.loads(settings.passwords_file.read_text())["admin"]
    with httpx.Client(base_url=settings.airflow_url, trust_env=False) as client:
        login = client.post("/auth/token", json={"username": "admin", "password": password})
        token = login.raise_for_status().json()["access_token"]
        assert client.get(f"/api/v2/pools/{pool}").status_code == 401
        answer = client.get(f"/api/v2/pools/{pool}", headers={"Authorization": f"Bearer {token}"})
        return int(answer.raise_for_status().json()["slots"])
