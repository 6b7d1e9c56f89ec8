"""Joins a model's runtime to its places of publication: which connection leads there, and what is on record."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.embedded.settings import S3
from incumbent.errors import ConfigError
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    from incumbent.config import Publish
    from incumbent.publish import Content, Published

LOG = logging.getLogger(__name__)


def publish_partition(runtime: Runtime, name: str, partition: str) -> Published | None:
    """Copy what the predictions table holds of a partition to a place; None if it was never scored.

    Raises:
        ConfigError: The folder names no such place any more, or its connection cannot be used; see also
            `incumbent.publish`.
    """
    from incumbent.publish import content_of
    from incumbent.publish.due import record

    target = runtime.model.publish.get(name)
    if target is None:
        raise ConfigError(
            "nothing is published under this name",
            where=f"model {runtime.model.name}, publish",
            expected=", ".join(runtime.model.publish) or "none",
            found=name,
            next_step="nothing, if it was taken out of model.yaml: the DAG is read again in a moment",
        )
    content = content_of(runtime.store, partition)
    if content is None:
        return None
    done = _published(runtime, target, content, f"{runtime.model.name}.publish.{name} {partition}")
    LOG.info("%s: %s", name, done.message)
    if done.is_there:
        record(runtime.store, name, target, done)
    return done


def unpublished(runtime: Runtime, run: str) -> list[str]:
    """Return the partitions whose predictions some place lacks, and that are this run's to announce."""
    from incumbent.publish.due import claim_waiting

    return claim_waiting(runtime.store, runtime.model.publish, run, datetime.now(UTC))


def _published(runtime: Runtime, target: Publish, content: Content, where: str) -> Published:
    from incumbent.publish.files import publish_to_bucket, publish_to_folder

    if target.table is not None:
        from incumbent.publish.table import publish_to_table
        from incumbent_airflow.databases import open_warehouse

        return publish_to_table(open_warehouse(target.connection or "", where), target.table, content, where)
    path = target.path or ""
    if not path.startswith(S3):
        return publish_to_folder(Path(path), content)
    from incumbent.store.s3 import S3Blobs
    from incumbent_airflow.store_connection import s3_options

    return publish_to_bucket(S3Blobs(path, s3_options(target.connection)), content)
