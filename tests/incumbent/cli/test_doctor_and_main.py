import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.s3_server import BUCKET

from incumbent.cli.main import COMMANDS, main
from incumbent.embedded import processes
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, StoreError
from incumbent.store.s3 import S3Blobs

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("INCUMBENT_ROOT", "INCUMBENT_STORE", "MLFLOW_TRACKING_URI", "INCUMBENT_PORT_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INCUMBENT_HOME", str(tmp_path))
    return Settings.from_env({"INCUMBENT_HOME": str(tmp_path)})


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from incumbent.cli.main import main; status = main(['--help']); "
        "heavy = {'airflow', 'ray', 'mlflow', 'pandas', 'pyarrow', 'deltalake', 'duckdb', 'yaml', 'pydantic'}; "
        "sys.exit(status or ' '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert all(" ".join(command.words) in result.stdout for command in COMMANDS)
    assert result.stdout.splitlines()[-1].startswith("Next:")


def test_every_command_in_the_table_can_be_called(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([*command.words, "--help"])
        assert ended.value.code == 0
        assert command.summary in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_ends_a_command_quietly() -> None:
    code = "import sys; from incumbent.cli.main import program; sys.argv[1:] = ['--help']; program()"
    read, write = os.pipe()
    os.close(read)
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with os.fdopen(write) as gone:
        ended = subprocess.run(
            [sys.executable, "-c", code], stdout=gone, stderr=subprocess.PIPE, text=True, check=False, env=unbuffered
        )
    assert (ended.returncode, ended.stderr) == (141, "")


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert "unknown command: fly" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "status"), [(ConfigError, 2), (StoreError, 3)])
def test_an_error_is_told_without_a_traceback(
    kind: type[ConfigError], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise kind("it broke", where="here", next_step="mend it")

    monkeypatch.setattr("incumbent.cli.stack.env", fail)
    assert main(["env"]) == status
    assert capsys.readouterr().err == "it broke\n  where: here\n  next: mend it\n"


def test_doctor_of_a_stack_that_never_ran_is_fine(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    rows = [row for row in rows if not row["name"].startswith("model ")]
    assert {row["state"] for row in rows} == {"stopped"}
    assert {"scheduler", "api-server", "dag-processor", "triggerer", "mlflow"} == {row["name"] for row in rows}


def test_doctor_tells_what_runs_from_what_has_ended(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    running = processes.start("scheduler", sleep, {}, settings.run, "starts tasks")
    ended = processes.start("triggerer", sleep, {}, settings.run, "waits")
    process = processes.alive(ended)
    assert process is not None
    process.kill()
    process.wait()
    try:
        assert main(["doctor", "--json"]) == 1
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        assert (rows["scheduler"]["state"], rows["scheduler"]["pid"]) == ("running", running.pid)
        assert 1 < rows["scheduler"]["memory_mb"] < 100
        assert (rows["triggerer"]["state"], rows["mlflow"]["state"]) == ("ended", "stopped")
        assert main(["doctor"]) == 1
        assert str(settings.run / "logs" / "triggerer.log") in capsys.readouterr().out.splitlines()[-1]
    finally:
        processes.stop([running, ended], settings.run)


def test_doctor_says_which_model_folder_cannot_be_read(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    shutil.copytree(ROOT / "include" / "models" / "flights_delay", models / "flights_delay")
    monkeypatch.setenv("INCUMBENT_MODELS", str(models))
    assert main(["doctor"]) == 0
    assert "model flights_delay: ok" in capsys.readouterr().out.splitlines()
    path = models / "flights_delay" / "model.yaml"
    path.write_text(path.read_text() + "\ngaets: {}\n")
    assert main(["doctor"]) == 1
    *_, said, last = capsys.readouterr().out.splitlines()
    assert said.startswith("model flights_delay: ") and f"{path}: gaets" in said
    assert last.startswith("Next: correct the folder of model flights_delay")
    assert main(["doctor", "--json"]) == 1
    assert [row["state"] for row in json.loads(capsys.readouterr().out) if row["name"] == "model flights_delay"] == [
        "unreadable"
    ]


def test_doctor_names_the_port_that_was_started(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    running = processes.start("api-server", sleep, {}, settings.run, "serves", 31234)
    try:
        assert main(["doctor"]) == 0
    finally:
        processes.stop([running], settings.run)
    assert capsys.readouterr().out.splitlines()[-1] == "Next: open http://localhost:31234"


def test_doctor_refuses_a_bucket_that_it_cannot_trust(
    settings: Settings, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INCUMBENT_STORE", f"s3://{BUCKET}/doctor")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_options["endpoint"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_options["secret"])
    monkeypatch.setenv("AWS_REGION", s3_options["region"])
    assert main(["doctor"]) == 0
    assert f"conditional writes hold in s3://{BUCKET}/doctor" in capsys.readouterr().out
    monkeypatch.setenv("INCUMBENT_STORE", "s3://nowhere/doctor")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "refused" in printed and "NoSuchBucket" in printed and "correct what the store's line says" in printed
    assert s3_options["secret"] not in printed


def test_doctor_refuses_a_store_where_the_last_writer_wins(
    settings: Settings, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trusting = S3Blobs(f"s3://{BUCKET}/trusting", s3_options)

    def forget(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    trusting.client.meta.events.register("before-send.s3.PutObject", forget)
    monkeypatch.setattr(S3Blobs, "client", trusting.client)
    monkeypatch.setenv("INCUMBENT_STORE", trusting.url)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "refused" in printed and "conditional writes do not hold" in printed


def test_store_check_of_an_empty_store_is_fine(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path(settings.store).mkdir()
    assert main(["store", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("command", ["up", "env"])
def test_no_stack_is_made_in_any_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("INCUMBENT_ROOT", raising=False)
    monkeypatch.setenv("INCUMBENT_HOME", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    assert main([command]) == 2
    assert f"this folder is no project\n  where: {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
