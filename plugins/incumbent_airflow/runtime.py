"""What a task needs from its surroundings: the model's folder, its store, and the partition."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from incumbent.config import Model, ModelFolder, load_model
from incumbent.embedded.settings import S3, Settings
from incumbent.errors import ConfigError
from incumbent.partitions import check_key

if TYPE_CHECKING:
    from airflow.sdk import Asset

    from incumbent.store import ModelStore
    from incumbent.store.place import Place

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """One model as a task sees it."""

    folder: ModelFolder
    settings: Settings

    @classmethod
    def open(cls, model: str) -> Runtime:
        """Read the model's folder again: a task works with what is there when it starts."""
        settings = current_settings()
        return cls(load_model(settings.models / model), settings)

    @property
    def model(self) -> Model:
        """The model's configuration."""
        return self.folder.model

    @cached_property
    def store(self) -> ModelStore:
        """The model's store."""
        return self.settings.open_store(_options(self.settings.store)).model(self.model.name)

    @cached_property
    def drop(self) -> Place:
        """The drop folder."""
        return self.settings.open_drop(_options(self.settings.drop))

    def raw_path(self, source: str, partition: str) -> Place:
        """Return where a delivery of a source lies in the drop folder."""
        return self.drop / self.model.sources[source].path.replace("{partition}", partition)


def _options(address: str) -> dict[str, str] | None:
    """Return the credentials for an address; none for a folder."""
    from incumbent_airflow.store_connection import s3_options

    return s3_options() if address.startswith(S3) else None


def current_settings() -> Settings:
    """Return the settings that the environment names."""
    return Settings.from_env(os.environ)


def partition_of(context: Mapping[str, Any], model: Model) -> str:
    """Return the run's partition: its key, else the `partition` of its form or `--conf`.

    Raises:
        ConfigError: The run has neither, the key is not of the model's grain, or the run was given what nobody knows.
    """
    refuse_unknown(context)
    key = context.get("partition_key") or (context.get("params") or {}).get("partition")
    if not key:
        run = context.get("dag_run")
        given = dict(getattr(run, "conf", None) or {})
        raise ConfigError(
            "the run names no partition",
            where=f"DAG {context['dag'].dag_id}" if "dag" in context else f"model {model.name}",
            expected="a partition key from an asset, the form, or --conf",
            found=f"only {', '.join(sorted(given))}" if given else "none",
            next_step='trigger it with --conf \'{"partition": "…"}\' or fill in Partition in the form',
        )
    return check_key(key, model.grain)


def refuse_unknown(context: Mapping[str, Any]) -> None:
    """Refuse a run whose `--conf` has a key that is no parameter of its DAG: a typo would be a default in silence.

    Raises:
        ConfigError: There is one.
    """
    if "dag" not in context:
        return
    known = set(context["dag"].params)
    given = dict(getattr(context.get("dag_run"), "conf", None) or {})
    if unknown := sorted(given.keys() - known):
        raise ConfigError(
            "the run was given a parameter that its DAG does not have",
            where=f"DAG {context['dag'].dag_id}, --conf",
            expected=f"of {', '.join(sorted(known))}",
            found=", ".join(unknown),
            next_step="start it again with the name corrected; nothing was done",
        )


def emit(context: Mapping[str, Any], asset: Asset, partition: str, **extra: Any) -> None:
    """Announce a partition of an asset, also from a run that has no partition key of its own."""
    event = context["outlet_events"][asset]
    event.add_partitions([partition])
    event.extra.update(extra)


def skip(message: str) -> AirflowSkipException:
    """Return the exception that ends a task without announcing anything; the message is the reason.

    It is in the log too: the page of a task folds away what Airflow says after its end.
    """
    LOG.info(message)
    return AirflowSkipException(message)
