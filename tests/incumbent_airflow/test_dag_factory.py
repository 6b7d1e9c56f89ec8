"""What is wrong with one model folder is that folder's problem alone."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from incumbent.config import load_model
from incumbent.errors import ConfigError
from incumbent_airflow import dag_factory
from incumbent_airflow.dags.score import score_dag
from incumbent_airflow.dags.train import train_dag
from incumbent_airflow.runtime import partition_of

pytestmark = pytest.mark.unit
MODELS = Path(__file__).parents[2] / "include" / "models"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the `model.yaml` of one of the two shipped models, to be spoilt."""
    for folder in MODELS.iterdir():
        (tmp_path / folder.name).mkdir()
        for path in folder.iterdir():
            (tmp_path / folder.name / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("INCUMBENT_MODELS", str(tmp_path))
    return tmp_path / "flights_airtime" / "model.yaml"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("start: 2013-01", "start: 2013-02-30", "`start`"),
        ("evaluate: {cluster: [year, month, day]}", "evaluate: {{cluster}}", "{{"),
        ("America/New_York", "America/New_Yrok", "timezone"),
        ("cluster: [year, month, day]", "cluster: [yaer]", "evaluate.cluster"),
        ("keys: [year,", "keys: [yaer,", "keys"),
    ],
)
def test_a_typo_is_the_import_error_of_its_folder_only(broken: Path, old: str, new: str, says: str) -> None:
    good = broken.read_text()
    assert old in good
    broken.write_text(good.replace(old, new))
    assert [model.name for model in dag_factory.models()] == ["flights_delay"]
    with pytest.raises(ConfigError) as caught:
        dag_factory.check_folders()
    assert str(broken) in caught.value.where
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["contract.yaml", "features.sql"])
def test_so_is_a_file_that_is_missing(broken: Path, name: str) -> None:
    broken.with_name(name).unlink()
    with pytest.raises(ConfigError, match="is missing") as caught:
        dag_factory.check_folders()
    assert caught.value.where == str(broken.with_name(name))


def test_so_is_what_nobody_expected(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = dag_factory.load_model

    def load_or_fall(path: Path) -> object:
        if path == broken.parent:
            raise KeyError("surprise")
        return load(path)

    monkeypatch.setattr(dag_factory, "load_model", load_or_fall)
    assert [model.name for model in dag_factory.models()] == ["flights_delay"]
    with pytest.raises(ConfigError, match="KeyError: 'surprise'") as caught:
        dag_factory.check_folders()
    assert caught.value.where == str(broken.parent)


def test_no_model_at_all_is_an_import_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCUMBENT_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="there is no model") as caught:
        dag_factory.check_folders()
    assert str(tmp_path / "nowhere") in str(caught.value)


def test_a_mistyped_conf_key_is_named() -> None:
    model = load_model(MODELS / "flights_airtime").model
    context = {"params": {}, "dag_run": SimpleNamespace(conf={"partion": "2013-02"})}
    with pytest.raises(ConfigError, match="found: only partion"):
        partition_of(context, model)


def test_a_form_demands_no_field_that_may_stay_empty() -> None:
    """Airflow's form keeps its button grey until each field has a value whose type is not null as well."""
    model = load_model(MODELS / "flights_airtime").model
    for dag in (train_dag(model, "training"), score_dag(model)):
        assert dag.params
        for name in dag.params:
            assert "null" in dag.params.get_param(name).schema["type"], f"{dag.dag_id}: {name}"
            assert dag.params[name] is None, f"{dag.dag_id}: {name}"
