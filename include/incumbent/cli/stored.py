"""The model folder and the store that a command is about."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from incumbent.config import ModelFolder, load_model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.records import Ingest
    from incumbent.store import ModelStore

ONCE = "once"


def opened(name: str) -> tuple[ModelFolder, ModelStore]:
    """Return a model's folder and its store, where the environment says they are."""
    settings = Settings.from_env(os.environ)
    if not (settings.models / name / "model.yaml").is_file():
        there = sorted(path.parent.name for path in settings.models.glob("*/model.yaml"))
        raise ConfigError(
            "there is no such model",
            where=f"{settings.models / name}",
            expected=", ".join(there) or "a folder with a model.yaml",
            found=name,
            next_step="name one of these; INCUMBENT_MODELS says where the folders are",
        )
    folder = load_model(settings.models / name)
    return folder, settings.open_store().model(folder.model.name)


def person() -> str:
    """Return who gives a command, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return "unknown"


def accepted(folder: ModelFolder, store: ModelStore, source: str, partition: str) -> Ingest:
    """Return the record that a partition's rows are from.

    Raises:
        ConfigError: Nothing of this partition was accepted.
    """
    from incumbent.validate.replay import accepted_now

    record = accepted_now(store, folder.model, source, partition)
    if record is None:
        raise ConfigError(
            "nothing was accepted for this partition",
            where=f"{store.blobs.url}: {source} {partition}",
            expected="a source and a partition whose rows are in the store",
            found="none",
            next_step="let its delivery be accepted first",
        )
    return record
