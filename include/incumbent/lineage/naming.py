"""What jobs, runs and datasets are called in OpenLineage: the same from any process, today and in a year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from incumbent.config import Model, Publish

if TYPE_CHECKING:
    from incumbent.embedded.settings import Settings
    from incumbent.store import ModelStore

ROOT = uuid5(NAMESPACE_URL, "urn:incumbent:runs")
Name = tuple[str, str]  # namespace and name of a dataset


@dataclass(frozen=True)
class Naming:
    """How one model's jobs and datasets are named.

    Attributes:
        model: Its configuration.
        jobs: Namespace of all jobs.
        store: Address of the model's store: a folder, or `s3://bucket/prefix`.
        drop: Address of the drop folder.
        databases: Airflow connection to the namespace and the database that OpenLineage names its tables by.
    """

    model: Model
    jobs: str
    store: str
    drop: str
    databases: Mapping[str, Name] = field(default_factory=dict)

    def job(self, task: str) -> str:
        """Return the name of a job: what Airflow's own integration would call the task."""
        return f"{self.model.name}.{task}"

    def run(self, what: str) -> str:
        """Return the id of the run that committed something: told twice, it is the same run."""
        return str(uuid5(ROOT, f"{self.store}/{what}"))

    def table(self, name: str) -> Name:
        """Return the dataset of a table, such as `batches/flights`."""
        return place(f"{self.store}/tables/{name}")

    def records(self, kind: str) -> Name:
        """Return the dataset of all records of a kind, whose versions are their names."""
        return place(f"{self.store}/records/{kind}")

    def raw(self, source: str) -> Name:
        """Return the dataset of a source's files: its path with `{partition}` in it, for they are one dataset."""
        return place(f"{self.drop}/{self.model.sources[source].path}")

    def file(self, source: str, partition: str) -> str:
        """Return the address of one file of a source."""
        return f"{self.drop}/{self.model.sources[source].path.replace('{partition}', partition)}"

    def published(self, target: Publish) -> Name:
        """Return the dataset of a place that predictions are copied to."""
        if target.path is not None:
            return place(target.path.rstrip("/"))
        namespace, database = self.databases.get(target.connection or "", (f"connection://{target.connection}", ""))
        return namespace, ".".join(filter(None, [database, target.table]))


def place(address: str) -> Name:
    """Return namespace and name of a folder or a prefix in a bucket.

    >>> place("s3://lake/store/delay"), place("/var/store/delay")
    (('s3://lake', 'store/delay'), ('file', '/var/store/delay'))
    """
    if "://" not in address:
        return "file", address
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def naming_of(settings: Settings, model: Model, store: ModelStore) -> Naming:
    """Return how one model's jobs and datasets are named in an installation."""
    return Naming(model, settings.lineage_namespace, store.blobs.url, settings.drop, settings.lineage_databases)
