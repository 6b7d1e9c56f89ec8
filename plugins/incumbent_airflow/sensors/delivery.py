"""Wait, without a worker slot, for the delivery of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from incumbent.embedded.settings import S3
from incumbent.partitions import Grain, check_key
from incumbent_airflow.runtime import Runtime, emit
from incumbent_airflow.triggers.delivery import DeliveryTrigger

BUCKET_POLL = timedelta(minutes=1)
LATE = timedelta(days=7)  # after the day on which a file is expected


class DeliverySensor(BaseOperator):
    """Look once, then defer until the partition's file is there; then announce it.

    :param model: Model name, for messages.
    :param grain: Grain of the partition key.
    :param pattern: Absolute path with `{partition}` in it.
    :param asset: RAW asset of the source.
    :param timeout_s: Seconds until the sender counts as late.
    """

    template_fields: Sequence[str] = ("pattern",)

    def __init__(
        self,
        *,
        model: str,
        grain: str,
        pattern: str,
        asset: Asset,
        timeout_s: float = LATE.total_seconds(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.grain = grain
        self.pattern = pattern
        self.asset = asset
        self.timeout_s = timeout_s

    def execute(self, context: Any) -> str:
        """Return the partition whose file is there, after waiting for it."""
        partition = self._partition(context)
        path = self.pattern.replace("{partition}", partition)
        if path.startswith(S3):
            return self._look_in_bucket(context, path, partition)
        if not Path(path).exists():
            self.defer(
                trigger=DeliveryTrigger(path=path),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout_s),
            )
        return self._announce(context, partition)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> str:
        """Return what `execute` returns when the file was there at once."""
        if event["status"] != "landed":
            raise AirflowFailException(event["message"])
        return self._announce(context, self._partition(context))

    def _look_in_bucket(self, context: Any, path: str, partition: str) -> str:
        """Return the partition whose object is there, or look again in a minute: the triggerer has no credentials."""
        runtime = Runtime.open(self.model)
        if not (runtime.drop / path.removeprefix(f"{runtime.settings.drop}/")).is_file():
            self.defer(trigger=DateTimeTrigger(moment=datetime.now(UTC) + BUCKET_POLL), method_name="look_again")
        return self._announce(context, partition)

    def look_again(self, context: Any, event: Any = None) -> str:
        """Return what `execute` returns."""
        return self.execute(context)

    def _partition(self, context: Any) -> str:
        key = context.get("partition_key") or (context.get("params") or {}).get("partition") or ""
        return check_key(key, Grain(self.grain))

    def _announce(self, context: Any, partition: str) -> str:
        emit(context, self.asset, partition)
        return partition
