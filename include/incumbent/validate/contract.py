"""The contract: what a delivery of each source must look like, read from `contract.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from incumbent.config import Model, Strict, read_yaml
from incumbent.errors import ConfigError
from incumbent.records import digest_of

Dtype = Literal["int64", "float64", "string", "timestamp", "date", "bool"]


class Column(Strict):
    """One column.

    Attributes:
        dtype: Stored type: `int64`, `float64`, `string`, `bool`, `date`, or `timestamp`, which is UTC.
        nullable: Whether a row may lack the value.
        min, max: Inclusive bounds of a row's value, in the column's unit.
        values: The only values a row may have.
        pattern: Regular expression that the whole text must match.
        max_null_share: Largest share of nulls in a delivery; more stop it.
        unit: Unit, for people.
        description: Meaning, for people.
    """

    dtype: Dtype
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    values: tuple[str | int, ...] | None = None
    pattern: str | None = None
    max_null_share: float = Field(1.0, ge=0, le=1)
    unit: str = ""
    description: str = ""


class Policy(Strict):
    """What happens to a delivery that is not perfect.

    Attributes:
        max_quarantine_share: Largest share of rows that may be set aside; more stop the delivery.
        extra_columns: `drop` columns that the contract does not name, or `stop`.
        min_rows, max_rows: Row count of a delivery.
        max_bytes: Largest file that is opened.
    """

    max_quarantine_share: float = Field(0.05, ge=0, le=1)
    extra_columns: Literal["drop", "stop"] = "drop"
    min_rows: int = Field(1, ge=0)
    max_rows: int = Field(50_000_000, ge=1)
    max_bytes: int = Field(4 * 2**30, ge=1)


class Expectation(Strict):
    """A Great Expectations expectation of the user's own; it runs and decides.

    Attributes:
        type: Name, such as `expect_column_mean_to_be_between`.
        kwargs: Its arguments.
        severity: `stop` the delivery, or `warn` in the record.
    """

    type: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["stop", "warn"] = "stop"


class SourceContract(Strict):
    """The contract of one source.

    Attributes:
        columns: Columns by name, in stored order.
        key: Columns that identify a row, none of them nullable; a key that occurs twice sets all its rows aside.
        row_rules: Rule name to SQL that is true for a good row.
        nulls: What a CSV file writes for a missing value.
        policy: What happens to a delivery that is not perfect.
        expectations: The user's own expectations.
    """

    columns: dict[str, Column] = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    row_rules: dict[str, str] = Field(default_factory=dict)
    nulls: tuple[str, ...] = ("",)
    policy: Policy = Policy()
    expectations: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _key_identifies(self) -> SourceContract:
        if missing := [name for name in self.key if name not in self.columns]:
            raise ValueError(f"key column {missing[0]!r} is not among the columns")
        # Two rows without a key are not told apart, and are no repeated key either: SQL's nulls differ.
        if nullable := [name for name in self.key if self.columns[name].nullable]:
            raise ValueError(f"key column {nullable[0]!r} is nullable; a key identifies every row")
        return self

    @property
    def digest(self) -> str:
        """Digest of the contract's meaning."""
        return digest_of(self.model_dump(mode="json"))


class Contract(Strict):
    """All sources of a model; `extends` takes over another file's sources."""

    extends: str | None = None
    sources: dict[str, SourceContract] = Field(default_factory=dict)


def load_contract(path: Path) -> Contract:
    """Read a contract file, with what it extends.

    Raises:
        ConfigError: See `incumbent.config.read_yaml`.
    """
    contract = read_yaml(path, Contract)
    if contract.extends is None:
        return contract
    base = read_yaml((path.parent / contract.extends).resolve(), Contract)
    return Contract(sources={**base.sources, **contract.sources})


def source_contract(contract: Contract, model: Model, source: str) -> SourceContract:
    """Return a source's contract, or say that it has none."""
    if source not in contract.sources:
        raise ConfigError(
            "a source has no contract",
            where=f"model {model.name}, contract.yaml",
            expected=f"sources.{source}",
            found=", ".join(contract.sources) or "no sources",
            next_step=f"describe the columns of {source} in contract.yaml",
        )
    return contract.sources[source]


def contract_digests(path: Path, model: Model) -> dict[str, str]:
    """Return each source's contract digest, for the snapshot."""
    contract = load_contract(path)
    return {source: source_contract(contract, model, source).digest for source in model.sources}
