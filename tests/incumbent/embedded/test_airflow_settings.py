import json
from pathlib import Path

import pytest

from incumbent.embedded.airflow_settings import connection_variables, pools, read_airflow_settings
from incumbent.errors import ConfigError

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).parents[3]


def test_connections_and_variables_become_environment_variables(tmp_path: Path) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text("""
airflow:
  connections:
    - conn_id: lake
      conn_type: aws
      conn_login: reader
      conn_port: 9000
      conn_extra: {endpoint_url: "http://127.0.0.1:9000"}
  variables:
    - variable_name: limit
      variable_value: "3"
""")
    env = connection_variables(read_airflow_settings(path))
    assert set(env) == {"AIRFLOW_CONN_LAKE", "AIRFLOW_VAR_LIMIT"}
    assert env["AIRFLOW_VAR_LIMIT"] == "3"
    assert json.loads(env["AIRFLOW_CONN_LAKE"]) == {
        "conn_type": "aws",
        "login": "reader",
        "port": 9000,
        "extra": {"endpoint_url": "http://127.0.0.1:9000"},
    }


def test_the_shipped_file_declares_one_slot_for_trainings_and_no_secret() -> None:
    shipped = read_airflow_settings(PROJECT / "airflow_settings.yaml")
    assert {name: pool["slots"] for name, pool in pools(shipped).items()} == {"training": 1}
    assert connection_variables(shipped) == {}


def test_a_project_without_the_file_declares_nothing(tmp_path: Path) -> None:
    assert pools(read_airflow_settings(tmp_path / "airflow_settings.yaml")) == {}


def test_a_misspelt_field_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text("airflow: {pools: [{pool_name: training, slots: 1}]}")
    with pytest.raises(ConfigError, match="pool_slot"):
        read_airflow_settings(path)
