"""A model folder's rows of all its history, computed once by the code that computes them in production.

Each delivery is validated, and its features are computed by the folder's definition at the folder's own grain. What
comes out is one file in time order; a replay at another grain cuts it elsewhere.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from demo import raw_data
from incumbent.config import LOCAL_DATE, ModelFolder
from incumbent.errors import ConfigError
from incumbent.features.build import feature_columns
from incumbent.features.compute import compute, open_duckdb, quoted
from incumbent.features.definition import register, stored_text
from incumbent.features.inputs import delivered, pinned_inputs
from incumbent.features.rows import label_rows, outcome_keys
from incumbent.partitions import check_key
from incumbent.records import digest_of
from incumbent.store import ModelStore, Store
from incumbent.validate import ingest_or_raise

GROUP_ROWS = 16_384  # a fit decodes the row groups that it needs
SLOT = "{partition}"


@dataclass(frozen=True)
class History:
    """All rows of a model folder, in time order.

    Attributes:
        folder: The model folder.
        file: Parquet of keys, time, features, `local_date`, `label` (null without one) and `known`: its outcome is in.
        digest: Of everything that the rows are made from.
        features: Names of the features, in the definition's order.
    """

    folder: ModelFolder
    file: Path
    digest: str
    features: tuple[str, ...]

    def table(self) -> pa.Table:
        """Return the rows."""
        return pq.read_table(self.file)


def read_history(folder: ModelFolder, raw: Path, cache: Path) -> History:
    """Return the rows of all deliveries below a folder, from the cache if nothing has changed.

    Args:
        folder: The model folder.
        raw: Where the paths of its sources begin.
        cache: Folder of what was computed before.

    Raises:
        ConfigError: A source has no files.
    """
    files = {source: _deliveries(folder, raw, source) for source in folder.model.sources}
    model = folder.model
    said = [folder.definition, model.label.model_dump(mode="json"), model.keys, model.time, model.timezone]
    content = {
        source: {key: digest_of(file.read_bytes()) for key, file in each.items()} for source, each in files.items()
    }
    digest = digest_of([*said, digest_of(folder.contract_path.read_bytes()), content])
    target = cache / f"rows-{model.name}-{digest[:16]}.parquet"
    if not target.exists():
        rows = _computed(folder, files)
        cache.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, target.with_suffix(".tmp"), row_group_size=GROUP_ROWS, compression="zstd")
        target.with_suffix(".tmp").replace(target)
    schema = pq.read_schema(target).empty_table()
    names = [name for name in feature_columns(model, schema) if name != "known"]
    return History(folder, target, digest, tuple(names))


def drop_flights(folder: ModelFolder, raw: Path) -> Path:
    """Write the year of flights where a shipped model folder looks for it; return the folder of raw data."""
    for name, source in folder.model.sources.items():
        path = raw / str(source.path)
        if source.once:
            if not path.exists():
                raw_data.write_once(path.parent, name)
            continue
        for month in (f"2013-{number:02d}" for number in range(1, 13)):
            if not Path(str(path).replace(SLOT, month)).exists():
                raw_data.write_partition(path.parent.parent, name, month)
    return raw


def _deliveries(folder: ModelFolder, raw: Path, source: str) -> dict[str, Path]:
    """Return the files of a source by partition; under no name the one that comes once."""
    settings = folder.model.sources[source]
    pattern = str(settings.path)
    if settings.once:
        found = {"": raw / pattern} if (raw / pattern).is_file() else {}
    else:
        before, _, after = pattern.partition(SLOT)
        found = {
            check_key(str(file.relative_to(raw)).removeprefix(before).removesuffix(after), folder.model.grain): file
            for file in sorted(raw.glob(pattern.replace(SLOT, "*")))
        }
    if not found:
        raise ConfigError(
            "a source has no files to replay",
            where=f"model {folder.model.name}, source {source}",
            expected=str(raw / pattern),
            found="no such file",
            next_step="say RAW=/folder/with/the/deliveries; sources that are read by a query must be files first",
        )
    return found


def _computed(folder: ModelFolder, files: dict[str, dict[str, Path]]) -> pa.Table:
    with tempfile.TemporaryDirectory(prefix="incumbent-replay-") as place:
        store = Store(Path(place)).model(folder.model.name)
        for source, each in files.items():
            for key, file in each.items():
                ingest_or_raise(store, folder.model, folder.contract_path, source, key, file)
        definition = register(store, folder.model, folder.definition_text)
        keys = list(delivered(store, folder.model)[folder.model.batch_source])
        rows = pa.concat_tables(_rows(store, folder, definition, key) for key in keys)
        order = [(LOCAL_DATE, "ascending"), *((name, "ascending") for name in folder.model.keys)]
        return rows.sort_by(order)


def _rows(store: ModelStore, folder: ModelFolder, definition: str, key: str) -> pa.Table:
    """Return a partition's features with their labels where there are any."""
    model = folder.model
    rows = compute(store, model, stored_text(store, definition), pinned_inputs(store, model, key))
    connection = open_duckdb()
    try:
        connection.register("rows", rows)
        connection.register("labels", label_rows(store, model, [key]))
        connection.register("outcomes", outcome_keys(store, model, [key]))
        keys, time = quoted(model.keys), quoted([model.time])
        query = (
            f"SELECT rows.*, (rows.{time} AT TIME ZONE '{model.timezone}')::DATE AS {LOCAL_DATE}, labels.label, "
            f"outcomes.seen IS NOT NULL AS known FROM rows LEFT JOIN labels USING ({keys}) "
            f"LEFT JOIN (SELECT *, true AS seen FROM outcomes) AS outcomes USING ({keys})"
        )
        return connection.sql(query).to_arrow_table()
    finally:
        connection.close()
