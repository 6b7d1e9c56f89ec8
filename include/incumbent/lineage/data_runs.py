"""Runs that make data of data: a delivery that is judged, features, predictions, and their copies elsewhere.

Each is a function of records: of values, those of sensitive columns are not among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incumbent.config import Publish
from incumbent.features.inputs import Inputs
from incumbent.features.profile import ColumnProfile, Profile
from incumbent.lineage.event import (
    Dataset,
    Facets,
    Run,
    facet,
    model_facet,
    of_partitions,
    plain_schema,
    version,
)  # fmt: skip
from incumbent.lineage.naming import Naming
from incumbent.provenance.scored import Scored
from incumbent.records import Hold, Ingest, ModelVersion, Part

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Columns = Mapping[str, str]  # name to type


@dataclass(frozen=True)
class Content:
    """A content that a commit has brought into a table.

    Attributes:
        table: Table, such as `batches/flights`.
        number: Version of the table.
        at: When, in UTC.
        part: Partition, content and rows.
        columns: The table's columns.
    """

    table: str
    number: int
    at: datetime
    part: Part
    columns: Columns

    @property
    def name(self) -> str:
        """What the commit is called."""
        return f"{self.table}@{self.number}"

    def written(self, naming: Naming, more: Facets | None = None) -> Dataset:
        """Return it as an output."""
        part, storage = self.part, facet("storage", storageLayer="delta", fileFormat="parquet")
        facets = plain_schema(self.columns) | version(part.digest) | storage | (more or {})
        counted = facet("outputStatistics", rowCount=part.rows, fileCount=1)
        return Dataset(naming.table(self.table), facets, counted | of_partitions("output", [part.partition]))


def delivered(naming: Naming, record: Ingest, content: Content, results: Sequence[Mapping[str, Any]]) -> Run:
    """Return the run that took a delivery in.

    Args:
        naming: How things are named.
        record: The delivery, accepted.
        content: What was committed.
        results: Every expectation's, as VALIDATE stored them.
    """
    return Run(
        job=_ingest(record),
        what=content.name,
        at=content.at,
        inputs=[_raw(naming, record, results)],
        outputs=[content.written(naming)],
        partition=record.partition,
    )


def stopped(naming: Naming, record: Ingest, name: str, at: datetime, results: Sequence[Mapping[str, Any]]) -> Run:
    """Return the run that stopped a delivery: it wrote nothing."""
    return Run(
        job=_ingest(record),
        what=f"ingests/{name}",
        at=at,
        inputs=[_raw(naming, record, results)],
        partition=record.partition,
        error=record.message or record.reason,
    )


def erased(naming: Naming, content: Content) -> Run:
    """Return the run that left a content without the rows of somebody's key."""
    table = Dataset(naming.table(content.table), {}, of_partitions("input", [content.part.partition]))
    return Run("erase", content.name, content.at, [table], [content.written(naming)], content.part.partition)


def built(
    naming: Naming,
    content: Content,
    inputs: Inputs,
    profile: Profile | None,
    sql: str,
    made_of: Mapping[str, Sequence[tuple[str, str]]],
) -> Run:
    """Return the run that computed features.

    Args:
        naming: How things are named.
        content: What was committed.
        inputs: What they were computed from.
        profile: Their counts; None if they are not kept.
        sql: The definition.
        made_of: Feature to the source and the column that it is made of.
    """
    sources = [source for source in inputs.parts if source in naming.model.sources]
    shows = not naming.model.sensitive.seen_by_features(sources)  # which features are made of these is not known
    more = {} if profile is None else _metrics(profile, content.part.rows, shows=shows)
    return Run(
        job="features.features",
        what=content.name,
        at=content.at,
        inputs=_inputs(naming, inputs),
        outputs=[content.written(naming, more | _made_of(naming, made_of))],
        partition=content.part.partition,
        sql=sql,
    )


def held(naming: Naming, hold: Hold, name: str, at: datetime, inputs: Inputs | None) -> Run:
    """Return the run that held a batch: it wrote nothing."""
    model = naming.model
    tests = [
        {"assertion": str(each.get("test", "integrity")), "name": f"{each.get('column', '')} {each.get('test', '')}",
         "success": False, "severity": "error" if each.get("holds") else "warn"}
        for each in hold.findings
    ]  # fmt: skip
    sources = [source for source in (inputs.parts if inputs else ()) if source in model.sources]
    hides = bool(model.sensitive.seen_by_features(sources))
    found = _inputs(naming, inputs) if inputs else []
    batch = naming.table(f"batches/{model.batch_source}")
    return Run(
        job="features.features",
        what=f"holds/{name}",
        at=at,
        inputs=[
            Dataset(each.name, each.facets, each.here | facet("dataQualityAssertions", assertions=tests))
            if each.name == batch else each for each in found
        ],
        partition=hold.partition,
        error=f"Held: {len(tests)} tests of integrity do not hold." if hides else hold.message,
    )  # fmt: skip


def scored(naming: Naming, content: Content, made: Sequence[Scored], versions: Mapping[str, ModelVersion]) -> Run:
    """Return the run that predicted.

    Args:
        naming: How things are named.
        content: What was committed.
        made: What made its rows; nothing if the content is not kept.
        versions: Who predicted, by digest.
    """
    key, inputs = content.part.partition, list[Dataset]()
    for definition, digest in dict.fromkeys((each.definition, each.features_digest) for each in made):
        table = naming.table(f"features/{definition[:16]}")
        inputs.append(Dataset(table, version(digest), of_partitions("input", [key])))
    for digest, generation in dict.fromkeys((each.version, each.generation) for each in made):
        known = versions.get(digest)
        inputs.append(of_version(naming, digest, known, generation=generation))
    return Run("score.score", content.name, content.at, inputs, [content.written(naming)], key)


def published(naming: Naming, target: Publish, place: str, part: Part, name: str, at: datetime) -> Run:
    """Return the run that copied predictions to a place."""
    counted = facet("outputStatistics", rowCount=part.rows) | of_partitions("output", [part.partition])
    return Run(
        job=f"publish.publish_{place}",
        what=f"publications/{name}",
        at=at,
        inputs=[
            Dataset(naming.table("predictions"), version(part.digest), of_partitions("input", [part.partition])),
        ],
        outputs=[Dataset(naming.published(target), version(part.digest), counted)],
        partition=part.partition,
    )


def of_version(naming: Naming, digest: str, known: ModelVersion | None, **more: Any) -> Dataset:
    """Return a model version as a dataset, with what it is."""
    about = {} if known is None else {
        "estimator": known.estimator, "task": known.task, "rounds": known.rounds, "trainRows": known.train_rows,
        "trainUntil": known.train_until, "featureDefinition": known.definition, "snapshot": known.snapshot,
        "features": list(known.features), "importance": dict(known.importance), "base": known.base,
        "codeCommit": known.code.get("commit", ""), "packages": known.code.get("packages", ""),
        "incumbent": known.code.get("incumbent", ""),
    }  # fmt: skip
    name = naming.records(ModelVersion.kind)
    return Dataset(name, version(digest) | model_facet(model=naming.model.name, digest=digest, **about, **more))


def _ingest(record: Ingest) -> str:
    return f"ingest_{record.source}.validate"


def _raw(naming: Naming, record: Ingest, results: Sequence[Mapping[str, Any]]) -> Dataset:
    location = naming.file(record.source, record.partition)
    here = facet("inputSubset", inputCondition={"type": "location", "locations": [location]})
    if results:
        here |= facet("dataQualityAssertions", assertions=[_assertion(each) for each in results])
    return Dataset(naming.raw(record.source), version(record.raw_digest), here)


def _assertion(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an expectation has found, without what it saw."""
    config = result.get("config") or {}
    column = (config.get("kwargs") or {}).get("column")
    kind = str(config.get("type") or str(result["expectation"]).split()[0])
    severity = "error" if result.get("severity") == "stop" else "warn"
    said = {"assertion": kind, "success": bool(result["success"]), "severity": severity}
    return said | {"name": str(result.get("rule") or result["expectation"])} | ({"column": column} if column else {})


def _inputs(naming: Naming, inputs: Inputs) -> list[Dataset]:
    found = []
    for source, parts in inputs.parts.items():
        if source in naming.model.sources and parts:
            table = naming.table(f"{table_role(naming.model.sources[source].role)}/{source}")
            facets = version(parts[0].digest) if len(parts) == 1 else {}
            found.append(Dataset(table, facets, of_partitions("input", [part.partition for part in parts])))
    return found


def table_role(role: str) -> str:
    """Return the folder of a source's table."""
    return "batches" if role == "batch" else role


def _made_of(naming: Naming, made_of: Mapping[str, Sequence[tuple[str, str]]]) -> Facets:
    fields = {}
    for feature, columns in made_of.items():
        named = []
        for source, column in columns:
            role = naming.model.sources[source].role
            namespace, name = naming.table(f"{table_role(role)}/{source}")
            named.append({"namespace": namespace, "name": name, "field": column})
        if named:
            fields[feature] = {"inputFields": named}
    return facet("columnLineage", fields=fields) if fields else {}


def _metrics(profile: Profile, rows: int, *, shows: bool) -> Facets:
    columns = {name: _column(each, shows=shows) for name, each in profile.columns.items()}
    return facet("dataQualityMetrics", rowCount=rows, columnMetrics=columns)


def _column(found: ColumnProfile, *, shows: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"nullCount": found.nulls, "count": found.values}
    if found.is_text:
        return said | {"distinctCount": found.distinct}
    if not shows or not found.values or found.low is None or found.high is None:
        return said
    numbers = {"min": found.low, "max": found.high}
    shares = zip(QUANTILES, found.quantiles(QUANTILES), strict=True)
    return said | {name: value for name, value in numbers.items() if math.isfinite(value)} | {
        "quantiles": {str(share): value for share, value in shares if math.isfinite(value)}
    }  # fmt: skip
