"""What is served, and how: the arguments of the application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError
from incumbent.serve.token import token_digest
from incumbent.validate.contract import load_contract


@dataclass(frozen=True)
class ServeSettings:
    """Arguments of the application.

    Attributes:
        store: Address of the store.
        work: Folder of this machine for what is no promise.
        models: Folder of the model folders.
        names: Models that are served.
        token: SHA-256 of the bearer token; empty if none is asked for.
        newest: How many partitions of predictions are answered from, the newest; all if None.
        most: Live rows that may wait at once.
        batch: Live rows that are scored together.
        refresh_s: Seconds between two looks at the ledger and the tables.
    """

    store: str
    work: str
    models: str
    names: tuple[str, ...]
    token: str
    newest: int | None = None
    most: int = 200
    batch: int = 32
    refresh_s: float = 2.0

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> ServeSettings:
        """Read the settings of an application on a cluster.

        The store, the model folders and the token are what the environment of its nodes says.

        Args:
            arguments: `models`, names with commas between them; maybe `newest`.

        Raises:
            ConfigError: There is no token, or no such model.
        """
        names = tuple(name.strip() for name in arguments.get("models", "").split(",") if name.strip())
        newest = int(arguments["newest"]) if "newest" in arguments else None
        return serve_settings(Settings.from_env(os.environ), names, token_digest(os.environ, "0.0.0.0", False), newest)  # noqa: S104


def serve_settings(settings: Settings, names: tuple[str, ...], token: str, newest: int | None) -> ServeSettings:
    """Return the settings of some models, of all if none are named.

    Raises:
        ConfigError: There is no such model, or its folder cannot be used: told before anything starts.
    """
    there = sorted(path.parent.name for path in settings.models.glob("*/model.yaml"))
    if not there or (unknown := [name for name in names if name not in there]):
        raise ConfigError(
            "there is no such model",
            where=str(settings.models),
            expected=", ".join(there) or "folders with a model.yaml",
            found=unknown[0] if there else "none",
            next_step="name one of these; INCUMBENT_MODELS says where the folders are",
        )
    for name in names or there:
        load_contract(load_model(settings.models / name).contract_path)
    work = str(settings.home / "work")
    return ServeSettings(settings.store, work, str(settings.models), names or tuple(there), token, newest)
