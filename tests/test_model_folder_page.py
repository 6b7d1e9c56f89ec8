"""The page about model folders is right: its tables are the code's, and its example becomes a champion."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from pydantic_core import PydanticUndefined

from incumbent import config
from incumbent.embedded.settings import Settings
from incumbent.retrain.requests import open_request
from incumbent.validate import contract, ingest_or_raise
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
PAGE = Path(__file__).parents[1] / "docs" / "model-folder.md"
SECTIONS = {
    "model.yaml": config.Model,
    "sources.NAME": config.Source,
    "label": config.Label,
    "evaluate": config.Evaluate,
    "train": config.Train,
    "train.search": config.Search,
    "train.search.space.NAME": config.Range,
    "gates": config.Gates,
    "gates.fairness": config.Fairness,
    "gates.cost": config.Cost,
    "gates.behaviour": config.Behaviour,
    "gates.behaviour.change": config.Change,
    "gates.kpi.NAME": config.Guard,
    "integrity": config.Integrity,
    "score": config.Score,
    "explain": config.Explain,
    "publish.NAME": config.Publish,
    "monitor": config.Monitor,
    "monitor.evidently": config.EvidentlyEngine,
    "retrain": config.Retrain,
    "retrain.budget": config.Budget,
    "rollback": config.Rollback,
    "rollout": config.Rollout,
    "approvals": config.Approvals,
    "retention": config.Retention,
    "rebuild": config.Rebuild,
    "card": config.Card,
    "contract.yaml": contract.Contract,
    "contract.yaml: sources.NAME": contract.SourceContract,
    "contract.yaml: columns.NAME": contract.Column,
    "contract.yaml: policy": contract.Policy,
    "contract.yaml: evolution": contract.Evolution,
    "contract.yaml: freshness": contract.Freshness,
    "contract.yaml: learned": contract.Learned,
    "contract.yaml: expectations": contract.Expectation,
}


def expected_tables() -> str:
    """Return the page's tables as the classes say them."""
    return "\n".join(f"### `{name}`\n\n{summary(cls)}\n\n{table(cls)}\n" for name, cls in SECTIONS.items())


def summary(cls: type[config.Strict]) -> str:
    return (cls.__doc__ or "").splitlines()[0]


def table(cls: type[config.Strict]) -> str:
    rows = [f"| `{key}` | {default(cls, key)} | {text} |" for key, text in attributes(cls) if key in cls.model_fields]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def attributes(cls: type[config.Strict]) -> list[tuple[str, str]]:
    """Return each key with its meaning, from the class's docstring."""
    lines = (cls.__doc__ or "").split("Attributes:\n")[1]
    found = []
    for entry in re.split(r"\n {8}(?=\S)", "\n" + lines.rstrip()):
        if entry.strip():
            keys, text = entry.strip().split(": ", 1)
            found += [(key, " ".join(text.split())) for key in keys.split(", ")]
    return found


def default(cls: type[config.Strict], key: str) -> str:
    value = cls.model_fields[key].get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "*needed*"
    if isinstance(value, config.Strict) or value in (None, "", (), {}):
        return ""
    return f"`{json.dumps(value)}`" if isinstance(value, bool | tuple) else f"`{value}`"


@pytest.mark.parametrize(("name", "cls"), SECTIONS.items(), ids=list(SECTIONS))
def test_the_page_says_what_the_code_says(name: str, cls: type[config.Strict]) -> None:
    section = PAGE.read_text().split(f"### `{name}`\n")[1].split("\n###")[0]
    assert section.strip() == f"{summary(cls)}\n\n{table(cls)}"


@pytest.mark.parametrize("cls", SECTIONS.values(), ids=list(SECTIONS))
def test_every_key_is_explained(cls: type[config.Strict]) -> None:
    sections = {field for field, info in cls.model_fields.items() if field in SECTIONS or is_section(info.annotation)}
    assert {key for key, _ in attributes(cls)} | sections == set(cls.model_fields)


def is_section(annotation: Any) -> bool:
    return any(cls.__name__ in str(annotation) for cls in SECTIONS.values())


def test_the_example_becomes_a_champion(tmp_path: Path) -> None:
    runtime = example(tmp_path)
    for source in runtime.model.sources:
        path = runtime.raw_path(source, "2026-01")
        contract_path = runtime.folder.contract_path
        assert ingest_or_raise(runtime.store, runtime.model, contract_path, source, "2026-01", path).quarantined == (
            1 if source == "orders" else 0
        )
    request = open_request(runtime.store, "2026-01", "cold_start", {}, degraded=False, message="the first")[0].id
    assert stages.build_features(runtime, "2026-01").part is not None
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    stages.evaluate_candidate(runtime, request)
    assert stages.promote_candidate(runtime, request, None)["kind"] == "promoted"


def example(root: Path) -> Runtime:
    """Write the page's three blocks as a model folder, and January's files beside it."""
    folder = root / "models" / "orders_late"
    folder.mkdir(parents=True)
    blocks = re.findall(r"## \d\. `orders_late/(\S+)`.*?```\w+\n(.*?)```", PAGE.read_text(), re.S)
    assert [name for name, _ in blocks] == ["model.yaml", "contract.yaml", "features.sql"]
    for name, text in blocks:
        (folder / name).write_text(text)
    rng = np.random.default_rng(1)
    count = 8000
    start = datetime(2026, 1, 1, tzinfo=UTC)
    weight = rng.gamma(2.0, 3.0, count)
    south = rng.random(count) < 0.4
    late = rng.random(count) < 1 / (1 + np.exp(4 - 0.4 * weight - 3 * south))
    orders = {
        "order_id": np.arange(count),
        "ordered_at": [start + timedelta(minutes=5 * number) for number in range(count)],
        "warehouse": np.where(south, "south", "north"),
        "items": rng.integers(1, 20, count),
        "weight": np.where(np.arange(count) == 5, -1.0, weight),
    }
    outcomes = {"order_id": np.arange(count), "late": late}
    settings = Settings.from_env({"INCUMBENT_HOME": str(root / "var"), "INCUMBENT_MODELS": str(folder.parent)}, root)
    runtime = Runtime(config.load_model(folder), settings)
    for source, columns in (("orders", orders), ("outcomes", outcomes)):
        path = runtime.raw_path(source, "2026-01")
        path.parent.mkdir(parents=True)
        pacsv.write_csv(pa.table(columns), path)
    return runtime
