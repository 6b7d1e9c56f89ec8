"""Ask a database or a Delta table for the rows of a partition, once they can be there, and deliver them as a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import Asset, BaseOperator

from incumbent.embedded.settings import S3
from incumbent.partitions import bounds_utc
from incumbent_airflow.databases import open_database
from incumbent_airflow.runtime import Runtime, emit, partition_of

if TYPE_CHECKING:
    from incumbent.config import Source
    from incumbent.validate.delta import DeltaReading
    from incumbent.validate.extract import Extraction
    from incumbent.validate.reading import Reading


class ExtractOperator(BaseOperator):
    """Run a source's query for a partition, write the rows into the drop folder, and announce them.

    A re-run asks again, and replaces the file only if the rows have changed.

    :param model: Model name.
    :param source: Name of a source that has a `query`.
    :param asset: RAW asset of the source.
    """

    def __init__(self, *, model: str, source: str, asset: Asset, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.source = source
        self.asset = asset
        self._reading: Reading | DeltaReading | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Return what was written, after waiting, without a worker slot, until the partition's rows are due."""
        model = Runtime.open(self.model).model
        due = model.due(self.source, partition_of(context, model))
        if datetime.now(UTC) < due:
            self.defer(trigger=DateTimeTrigger(moment=due), method_name="execute_complete")
        return self.execute_complete(context)

    def execute_complete(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Return the partition, its rows, and whether its file is new."""
        runtime = Runtime.open(self.model)
        partition = partition_of(context, runtime.model)
        found = self._extract(runtime, partition)
        emit(context, self.asset, partition)
        told = {"rows": found.rows, "digest": found.digest, "is_new": found.is_new}
        return {"partition": partition, **told, "through": self._reading.through if self._reading else ""}

    def on_kill(self) -> None:
        """End the query in the database too; the task then fails, and leaves the file that was there."""
        if self._reading is not None:
            self._reading.cancel()

    def _extract(self, runtime: Runtime, partition: str) -> Extraction:
        from incumbent.validate.contract import load_contract, source_contract
        from incumbent.validate.extract import extract

        model, source = runtime.model, runtime.model.sources[self.source]
        contract = source_contract(load_contract(runtime.folder.contract_path), model, self.source)
        where = f"{model.name}.{self.source} {partition}"
        start, end = bounds_utc(partition, model.grain, model.timezone)
        values: dict[str, datetime | str] = {"start": start, "end": end, "partition": partition}
        reading = _reading(source, values, where, contract.private)
        self._reading = reading
        target = runtime.raw_path(self.source, partition)
        # In a thread of its own: a driver waits in C, where the signal of a kill or of a timeout is not heard.
        with ThreadPoolExecutor(1) as threads:
            try:
                found = threads.submit(extract, reading, contract, target, where, source.timezone).result()
            except BaseException:
                reading.cancel()
                raise
        state = "written" if found.is_new else "there already, with the same rows"
        self.log.info("%s: %d rows through %s, %s", target, found.rows, reading.through, state)
        return found


def _reading(source: Source, values: dict[str, datetime | str], where: str, private: bool) -> Reading | DeltaReading:
    """Return what reads a source's query: a table's address is looked up as the store's is, a database's connection."""
    from incumbent.validate.delta import DeltaAddress, DeltaReading
    from incumbent.validate.reading import Reading

    query = source.query or ""
    if source.table is None:
        return Reading(open_database(source.connection or "", where), query, values, where, private)
    address = DeltaAddress(source.table)
    if source.table.startswith(S3):
        from incumbent.store.s3 import S3Blobs
        from incumbent_airflow.store_connection import s3_options

        address = DeltaAddress(*S3Blobs(source.table, s3_options()).delta())
    return DeltaReading(address, query, values, where, private)
