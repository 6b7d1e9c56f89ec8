"""Every asset of a model, and the timetables that tie the DAGs together by partition key.

All consumers in a chain are partition-aware: an event that carries a key never wakes a plain
consumer, and the other way round, without a word from Airflow. Mapper, input format and output
format come from the grain, here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import (
    Asset,
    AssetWatcher,
    CronPartitionTimetable,
    PartitionedAssetTimetable,
    StartOfDayMapper,
    StartOfHourMapper,
    StartOfMonthMapper,
    StartOfWeekMapper,
)
from airflow.sdk.definitions.asset import BaseAsset

from incumbent.config import Model
from incumbent.partitions import KEY_FORMATS, Grain
from incumbent_airflow.triggers.landed import LandedTrigger

MAPPERS = {
    Grain.HOUR: StartOfHourMapper,
    Grain.DAY: StartOfDayMapper,
    Grain.WEEK: StartOfWeekMapper,
    Grain.MONTH: StartOfMonthMapper,
}
CRONS = {Grain.HOUR: "0 * * * *", Grain.DAY: "0 0 * * *", Grain.WEEK: "0 0 * * 1", Grain.MONTH: "0 0 1 * *"}


@dataclass(frozen=True)
class ModelAssets:
    """The assets of one model, by what they announce."""

    model: Model

    def landed(self, patterns: tuple[str, ...]) -> Asset:
        """Something landed in the drop folder, or a request was written; not partitioned."""
        trigger = LandedTrigger(model=self.model.name, patterns=list(patterns))
        return Asset(
            name=f"{self.model.name}.landed",
            uri=f"incumbent://{self.model.name}/landed",
            watchers=[AssetWatcher(name=f"{self.model.name}.landed", trigger=trigger)],
        )

    def raw(self, source: str) -> Asset:
        """A delivery of a source was found."""
        return self._asset(f"raw_{source}")

    def accepted(self, source: str) -> Asset:
        """A delivery of a source was validated and committed."""
        return self._asset(f"{self.model.sources[source].role}_{source}")

    @property
    def features(self) -> Asset:
        """A partition's features passed the integrity tests and are committed."""
        return self._asset("features")

    @property
    def predictions(self) -> Asset:
        """A partition is scored."""
        return self._asset("predictions")

    @property
    def unpublished(self) -> Asset:
        """A partition's predictions are not where they are to be published."""
        return self._asset("unpublished")

    def published(self, name: str) -> Asset:
        """A partition's predictions are where a part of `publish` says."""
        return self._asset(f"published_{name}")

    @property
    def request(self) -> Asset:
        """A retrain request was written."""
        return self._asset("request")

    @property
    def champion(self) -> Asset:
        """The seat has a new holder."""
        return self._asset("champion")

    def _asset(self, name: str) -> Asset:
        return Asset(name=f"{self.model.name}.{name}", uri=f"incumbent://{self.model.name}/{name}")


def partitioned(assets: BaseAsset, grain: Grain) -> PartitionedAssetTimetable:
    """Return the timetable that starts one run per partition key that the assets emit."""
    key_format = KEY_FORMATS[grain]
    mapper = MAPPERS[grain](input_format=key_format, output_format=key_format)
    return PartitionedAssetTimetable(assets=assets, default_partition_mapper=mapper)


def calendar(model: Model) -> CronPartitionTimetable:
    """Return the timetable that asks for each partition when its interval is over."""
    return CronPartitionTimetable(
        CRONS[model.grain], timezone=model.timezone, run_offset=-1, key_format=KEY_FORMATS[model.grain]
    )
