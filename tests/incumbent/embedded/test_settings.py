import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from incumbent.embedded.environment import environment, write_env_file
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError

pytestmark = pytest.mark.unit


def test_everything_lies_below_one_folder_and_on_one_port_base(tmp_path: Path) -> None:
    settings = Settings.from_env({"INCUMBENT_PORT_BASE": "9100"}, tmp_path)
    assert settings.home == tmp_path / "var"
    assert settings.store == str(tmp_path / "var" / "store")
    assert settings.raw == tmp_path / "var" / "raw"
    assert settings.models == tmp_path / "include" / "models"
    assert settings.airflow_url == "http://localhost:9100"
    assert settings.mlflow_uri == "http://127.0.0.1:9101"
    assert settings.ray_port_base == 9200


def test_two_installations_share_no_port_folder_or_secret(tmp_path: Path) -> None:
    one = environment(Settings.from_env({"INCUMBENT_PORT_BASE": "9100"}, tmp_path / "one"), {})
    two = environment(Settings.from_env({"INCUMBENT_PORT_BASE": "9300"}, tmp_path / "two"), {})
    own = ("PORT", "HOME", "SECRET", "FERNET", "CONN", "URL", "URI", "STORE", "RAW", "PASSWORDS", "TOKEN_PATH")
    shared = {name for name in one if any(word in name for word in own) and one[name] == two.get(name)}
    assert shared <= {"INCUMBENT_MLFLOW_URI"}
    assert not one["INCUMBENT_MLFLOW_URI"]


def test_a_foreign_tracking_server_is_used_and_our_own_is_not_taken_for_foreign(tmp_path: Path) -> None:
    foreign = Settings.from_env({"MLFLOW_TRACKING_URI": "http://mlflow.example:5000"}, tmp_path)
    assert foreign.mlflow_is_external
    assert foreign.mlflow_uri == "http://mlflow.example:5000"
    sourced = Settings.from_env(environment(Settings.from_env({}, tmp_path), {}))
    assert not sourced.mlflow_is_external


@pytest.mark.parametrize("port", ["80", "70000", "http"])
def test_a_port_that_is_none_names_the_variable(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.from_env({"INCUMBENT_PORT_BASE": port}, tmp_path)
    assert "INCUMBENT_PORT_BASE" in str(error.value)
    assert error.value.found == port


def test_a_store_is_a_folder_or_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"INCUMBENT_STORE": "here"}
    assert Settings.from_env(given).store == str(tmp_path / "here")
    bucket = Settings.from_env({"INCUMBENT_STORE": "s3://bucket/some/prefix/"}, tmp_path)
    assert bucket.store == "s3://bucket/some/prefix"
    assert bucket.open_store({"key": "k"}).model("m").work == tmp_path / "var" / "work" / "m"


@pytest.mark.parametrize("address", ["s3://", "s3:///x", "s3://bucket//x", "gs://bucket/x", "file:///x"])
def test_another_address_names_the_variable(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="INCUMBENT_STORE") as error:
        Settings.from_env({"INCUMBENT_STORE": address}, tmp_path)
    assert error.value.found == address


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    settings = Settings.from_env({}, tmp_path)
    assert environment(settings, {}) == environment(settings, {})
    written = write_env_file(settings)
    private = [written, settings.passwords_file, settings.run / "secrets.json"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600] * 3
    assert list(json.loads(settings.passwords_file.read_text())) == ["admin"]


def test_the_environment_keeps_to_loopback_and_reports_to_nobody(tmp_path: Path) -> None:
    env = environment(Settings.from_env({}, tmp_path), {"no_proxy": "intranet"})
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__API__EXPOSE_CONFIG"] == "False"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://localhost:8080/execution/"
    assert env["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    off = {"GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    assert {name: env[name] for name in off} == off
    assert env["RAY_AUTH_MODE"] == "token"
    assert env["no_proxy"] == "intranet,localhost,127.0.0.1"


def test_every_process_may_keep_its_bytecode(tmp_path: Path) -> None:
    env = environment(Settings.from_env({}, tmp_path), {"PYTHONDONTWRITEBYTECODE": "1", "KEPT": "1"})
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["KEPT"] == "1"


def test_the_environment_file_means_the_same_in_a_shell(tmp_path: Path) -> None:
    settings = Settings.from_env({"INCUMBENT_HOME": str(tmp_path / "it's here")}, tmp_path)
    path = write_env_file(settings)
    shell = subprocess.run(
        ["bash", "-c", 'source "$1"; echo "$INCUMBENT_STORE"; command -v incumbent', "bash", str(path)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    program = str(Path(sys.executable).parent / "incumbent")
    assert shell.stdout.splitlines() == [str(tmp_path / "it's here" / "store"), program]
