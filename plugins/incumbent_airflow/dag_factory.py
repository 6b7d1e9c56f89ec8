"""Reads the model folders for the DAG files; a broken folder takes down no other model."""

from __future__ import annotations

import os
from pathlib import Path

from incumbent.config import Model, load_model, model_folders
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError


def models() -> list[Model]:
    """Return the models whose folders can be read; broken ones are left to `check_folders`."""
    found, _ = _read()
    return found


def settings() -> Settings:
    """Return the settings that the environment names."""
    return Settings.from_env(os.environ)


def check_folders() -> None:
    """Raise the first problem of any model folder, so that Airflow shows it as an import error.

    Raises:
        ConfigError: A model folder cannot be used; the message names the file and the key. Or there is none at
            all: an empty list of DAGs would not say that a variable is missing.
    """
    found, problems = _read()
    if problems:
        raise problems[0]
    if not found:
        raise ConfigError(
            "there is no model",
            where=str(settings().models),
            expected="a folder for each model, with its model.yaml",
            found="none",
            next_step="export INCUMBENT_MODELS where the DAG processor runs, or add a folder; see docs/model-folder.md",
        )


def _read() -> tuple[list[Model], list[ConfigError]]:
    found: list[Model] = []
    problems: list[ConfigError] = []
    for path in model_folders(settings().models):
        try:
            found.append(load_model(path).model)
            problems += [
                _absent(path / name) for name in ("contract.yaml", "features.sql") if not (path / name).is_file()
            ]
        except ConfigError as error:
            problems.append(error)
        except Exception as error:  # whatever it is, it is this folder's, and the others go on
            problems.append(_unforeseen(path, error))
    return found, problems


def _absent(path: Path) -> ConfigError:
    return ConfigError(
        "a file of the model folder is missing",
        where=str(path),
        expected="model.yaml, contract.yaml and features.sql",
        found="no such file",
        next_step="write it; docs/model-folder.md builds one from nothing",
    )


def _unforeseen(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        "the model folder cannot be used",
        where=str(path),
        expected="files as docs/model-folder.md describes them",
        found=f"{type(error).__name__}: {error}",
        next_step="undo the last change of the folder; report this message, which should name the key",
    )
