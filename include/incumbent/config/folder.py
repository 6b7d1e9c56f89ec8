"""A model folder read once, with what its other files say of columns and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from incumbent.config.model import Model
from incumbent.config.strict import LOCAL_DATE, Strict
from incumbent.config.train import METRICS, Train
from incumbent.definition import packed
from incumbent.errors import ConfigError
from incumbent.estimators.abilities import ABILITIES
from incumbent.functions import FILE, Functions
from incumbent.records import digest_of
from incumbent.sensitive import sensitive_columns
from incumbent.strict_yaml import read_plain, read_text, read_yaml


class ModelFolder(Strict):
    """A model and the files beside its `model.yaml`."""

    path: Path
    model: Model

    @property
    def features_sql(self) -> str:
        """Text of `features.sql`."""
        return read_text(self.path / "features.sql")

    @property
    def kpi_sql(self) -> str:
        """Text of `kpi.sql`; empty without one."""
        path = self.path / "kpi.sql"
        return read_text(path) if path.exists() else ""

    @property
    def definition_text(self) -> str:
        """Text of the feature definition: the SQL, with `model.py` where that goes on from it."""
        functions = self.model.functions
        return packed(self.features_sql, functions.text if "features" in functions else "")

    @property
    def definition(self) -> str:
        """Digest of the feature definition's bytes."""
        return digest_of(self.definition_text.encode())

    @property
    def contract_path(self) -> Path:
        """Path of `contract.yaml`."""
        return self.path / "contract.yaml"


def load_model(path: Path) -> ModelFolder:
    """Read a model folder.

    Raises:
        ConfigError: See `read_yaml`; also when the folder and the model have different names, or a column
            is named that no row will have.
    """
    model = read_yaml(path / "model.yaml", Model)
    if model.name != path.name:
        raise ConfigError(
            "folder and model have different names",
            where=str(path / "model.yaml"),
            expected=path.name,
            found=model.name,
            next_step="name the model like its folder",
        )
    contracts = _contract_columns(path / "contract.yaml")
    _check_columns(path, model, contracts or {})
    model = model.with_sensitive(None if contracts is None else sensitive_columns(contracts))
    if model.train.script is not None:
        model = model.with_script(read_text(path / model.train.script))
    if model.train.script != FILE and (path / FILE).exists():
        model = model.with_functions(_functions(path / FILE, model.train))
    return ModelFolder(path=path, model=model)


def _functions(path: Path, train: Train) -> Functions:
    """Return what a `model.py` defines, if the estimator can make use of it, and nothing else says the same."""
    found, ability = Functions.of(read_text(path), str(path)), ABILITIES[train.estimator]
    for name, able in (("metric", ability.metric), ("objective", ability.objective)):
        if name in found and not able:
            raise ConfigError(
                "an estimator cannot make use of a function",
                where=f"{path}: {name}",
                expected=f"what docs/estimators.md says of {train.estimator}",
                found=f"estimator {train.estimator}",
                next_step=f"take {name} out of {FILE}, or set train.estimator to xgboost",
            )
    if "metric" in found and (given := sorted(METRICS & train.params.keys())):
        raise ConfigError(
            "there are two metrics",
            where=f"{path}: metric",
            expected="one metric to go by",
            found=f"{given[0]} in train.params of model.yaml too",
            next_step=f"take {given[0]} out of train.params, or metric out of {FILE}",
        )
    return found


def _check_columns(path: Path, model: Model, contracts: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse names of columns that no row will have: found in a task, they cost a training first."""
    named: list[tuple[str, tuple[str, ...], str, tuple[str, ...]]] = []
    for source in model.context_sources:
        known_at = model.sources[source].known_at
        if known_at is not None and (columns := tuple(contracts.get(source, ()))):
            named.append((f"sources.{source}.known_at", (known_at,), f"columns of {source}:", columns))
    for source in (model.batch_source, model.outcome_source):
        if columns := tuple(contracts.get(source, ())):
            named.append(("keys", model.keys, f"columns of {source}:", columns))
    named.append(("evaluate.cluster", model.evaluate.cluster, "of", (*model.keys, model.time, LOCAL_DATE)))
    for key, given, words, known in named:
        if unknown := [name for name in given if name not in known]:
            raise ConfigError(
                "a column is not known",
                where=f"{path / 'model.yaml'}: {key}",
                expected=f"{words} {', '.join(known)}",
                found=unknown[0],
                next_step=f"correct `{key}`",
            )


def _contract_columns(path: Path) -> dict[str, dict[str, Any]] | None:
    """Return the columns that a contract gives each source; None where VALIDATE will say what is wrong with it.

    Read as plain YAML: the contract's own classes belong to VALIDATE, which costs a second to import.
    """
    if not path.exists():
        return {}
    contract = read_plain(path)
    try:
        sources = contract.get("sources", {})
        if contract.get("extends"):
            sources = read_plain((path.parent / contract["extends"]).resolve())["sources"] | sources
        return {name: {str(key): each for key, each in source["columns"].items()} for name, source in sources.items()}
    except (AttributeError, KeyError, TypeError):
        return None


def model_folders(root: Path) -> Iterator[Path]:
    """Yield the model folders below a root, in name order."""
    yield from sorted(path.parent for path in root.glob("*/model.yaml"))
