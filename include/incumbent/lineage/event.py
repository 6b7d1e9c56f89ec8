"""OpenLineage 2-0-2 events and facets as plain data; no library, for the format is a page of JSON.

What is built here is a function of its arguments: the same commit gives the same bytes whenever it is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incumbent import __version__
from incumbent.lineage.naming import Name, Naming
from incumbent.partitions import bounds_utc, check_key

Event = dict[str, Any]
Facets = dict[str, dict[str, Any]]
PRODUCER = f"urn:incumbent:{__version__}"
SPEC = "https://openlineage.io/spec"
EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
MODEL = "incumbent_model"
SCHEMAS = {
    "schema": f"{SPEC}/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet",
    "dataSource": f"{SPEC}/facets/1-0-1/DatasourceDatasetFacet.json#/$defs/DatasourceDatasetFacet",
    "version": f"{SPEC}/facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
    "storage": f"{SPEC}/facets/1-0-1/StorageDatasetFacet.json#/$defs/StorageDatasetFacet",
    "columnLineage": f"{SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet",
    "dataQualityMetrics": f"{SPEC}/facets/1-0-0/DataQualityMetricsDatasetFacet.json"
    "#/$defs/DataQualityMetricsDatasetFacet",
    "dataQualityAssertions": f"{SPEC}/facets/1-1-0/DataQualityAssertionsDatasetFacet.json"
    "#/$defs/DataQualityAssertionsDatasetFacet",
    "inputSubset": f"{SPEC}/facets/1-0-0/BaseSubsetDatasetFacet.json#/$defs/InputSubsetInputDatasetFacet",
    "outputSubset": f"{SPEC}/facets/1-0-0/BaseSubsetDatasetFacet.json#/$defs/OutputSubsetOutputDatasetFacet",
    "outputStatistics": f"{SPEC}/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json"
    "#/$defs/OutputStatisticsOutputDatasetFacet",
    "jobType": f"{SPEC}/facets/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
    "sql": f"{SPEC}/facets/1-1-0/SQLJobFacet.json#/$defs/SQLJobFacet",
    "parent": f"{SPEC}/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet",
    "nominalTime": f"{SPEC}/facets/1-0-1/NominalTimeRunFacet.json#/$defs/NominalTimeRunFacet",
    "errorMessage": f"{SPEC}/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
    # Immutable, and in this repository: docs/openlineage/incumbent_model-1-0-0.json
    MODEL: "urn:incumbent:openlineage:1-0-0:incumbent_model",
}


@dataclass(frozen=True)
class Dataset:
    """One input or output of a run.

    Attributes:
        name: Namespace and name.
        facets: What is so of the dataset.
        here: What is so of it in this run alone.
    """

    name: Name
    facets: Facets = field(default_factory=dict)
    here: Facets = field(default_factory=dict)

    def plain(self, here: str) -> dict[str, Any]:
        """Return it as an input (`inputFacets`) or an output (`outputFacets`)."""
        namespace, name = self.name
        source = facet("dataSource", name=namespace, uri=namespace if "://" in namespace else f"{namespace}:///")
        plain: dict[str, Any] = {"namespace": namespace, "name": name, "facets": source | self.facets}
        return plain | ({here: self.here} if self.here else {})


@dataclass(frozen=True)
class Run:
    """A unit of work that is over.

    Attributes:
        job: Task, without the model's name.
        what: What it committed, as the store names it; its id follows from it.
        at: When that was committed, in UTC.
        inputs, outputs: What it read and wrote.
        partition: Partition that it was about; empty if it was about none.
        error: Why it committed nothing; empty if it did.
        request: Retrain request that it was for; empty if it was for none.
        sql: What it computed with; empty if it was no SQL.
    """

    job: str
    what: str
    at: datetime
    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()
    partition: str = ""
    error: str = ""
    request: str = ""
    sql: str = ""


def facet(key: str, **fields: Any) -> Facets:
    """Return a facet under the name that it has in an event."""
    name = "subset" if key in ("inputSubset", "outputSubset") else key
    return {name: {"_producer": PRODUCER, "_schemaURL": SCHEMAS[key], **fields}}


def events_of(naming: Naming, run: Run) -> list[Event]:
    """Return the two events of a run: that it began, and how it ended.

    What is on record is when it committed, so both have this time.
    """
    model = naming.model
    run_facets, sql = dict[str, Any](), facet("sql", query=run.sql, dialect="duckdb") if run.sql else {}
    if run.partition and _is_key(naming, run.partition):
        start, end = bounds_utc(run.partition, model.grain, model.timezone)
        run_facets |= facet("nominalTime", nominalStartTime=_time(start), nominalEndTime=_time(end))
    if run.request:
        parent = {"namespace": naming.jobs, "name": naming.job("train")}
        run_facets |= facet("parent", run={"runId": naming.run(f"requests/{run.request}")}, job=parent)
    failed = facet("errorMessage", message=run.error, programmingLanguage="python") if run.error else {}
    kind = facet("jobType", processingType="BATCH", integration="INCUMBENT", jobType="TASK")
    job = {"namespace": naming.jobs, "name": naming.job(run.job), "facets": kind | sql}
    both = {"eventTime": _time(run.at), "producer": PRODUCER, "schemaURL": EVENT, "job": job}
    begun = {"eventType": "START", "run": {"runId": naming.run(run.what), "facets": run_facets}}
    ended = {
        "eventType": "FAIL" if run.error else "COMPLETE",
        "run": {"runId": naming.run(run.what), "facets": run_facets | failed},
        "inputs": [each.plain("inputFacets") for each in run.inputs],
        "outputs": [each.plain("outputFacets") for each in run.outputs],
    }
    return [both | begun, both | ended]


def version(digest: str) -> Facets:
    """Return the facet that says which content of a dataset it was."""
    return facet("version", datasetVersion=digest)


def of_partitions(direction: str, partitions: Sequence[str]) -> Facets:
    """Return the facet that says which partitions of a dataset it was; `direction` is `input` or `output`."""
    said = [{"identifier": key, "dimensions": {"partition": key}} for key in partitions]
    return facet(f"{direction}Subset", **{f"{direction}Condition": {"type": "partition", "partitions": said}})


def model_facet(**fields: Any) -> Facets:
    """Return the facet of a model version, without what is not known."""
    return facet(MODEL, **{name: value for name, value in fields.items() if value not in ("", None)})


def plain_schema(fields: Mapping[str, str]) -> Facets:
    """Return the facet of a dataset's columns: name to type."""
    said = [{"name": name, "type": kind, "ordinal_position": at} for at, (name, kind) in enumerate(fields.items(), 1)]
    return facet("schema", fields=said)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_key(naming: Naming, partition: str) -> bool:
    try:
        return bool(check_key(partition, naming.model.grain))
    except Exception:  # `once`
        return False
