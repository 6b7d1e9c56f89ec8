"""The contract: what a delivery of each source must look like, read from `contract.yaml`.

Long because half of it says what each key means: this is the reference of `contract.yaml` in one place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from incumbent.config import Model, Strict, read_yaml
from incumbent.errors import ConfigError
from incumbent.records import digest_of
from incumbent.sensitive import is_kept_out

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
        sensitive: Nobody is shown its values: messages, pages and logs have `***`.
        in_features: Whether `features.sql` sees it; when absent, it does unless the column is sensitive and not hashed.
        hashed: What stands for the value is stored in its place, as text; for text and `int64`, without rules
            about values.
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
    sensitive: bool = False
    in_features: bool | None = None
    hashed: bool = False
    unit: str = ""
    description: str = ""

    @model_validator(mode="after")
    def _hashed_is_a_name(self) -> Column:
        if not self.hashed:
            return self
        if self.dtype not in ("int64", "string"):
            raise ValueError(f"a column of {self.dtype} cannot be hashed: only int64 and string name somebody")
        rules = [name for name in ("min", "max", "values", "pattern") if getattr(self, name) is not None]
        if rules:
            raise ValueError(f"`{rules[0]}` of a hashed column judges nothing: its values are not there to be judged")
        return self

    @property
    def stored(self) -> Dtype:
        """Type that the column is stored in."""
        return "string" if self.hashed else self.dtype

    @property
    def kept_out(self) -> bool:
        """Whether `features.sql` does not see it."""
        return is_kept_out(self.sensitive, self.hashed, self.in_features)


class Policy(Strict):
    """What happens to a delivery that is not perfect.

    Attributes:
        max_quarantine_share: Largest share of rows that may be set aside; more stop the delivery.
        min_rows, max_rows: Row count of a delivery.
        max_bytes: Largest file that is opened.
    """

    max_quarantine_share: float = Field(0.05, ge=0, le=1)
    min_rows: int = Field(1, ge=0)
    max_rows: int = Field(50_000_000, ge=1)
    max_bytes: int = Field(4 * 2**30, ge=1)


class Evolution(Strict):
    """What happens when a delivery has other columns than the contract.

    Attributes:
        added: A column that the contract does not name: `drop` it, `warn` in the record as well, or `stop`.
        dropped: A nullable column that is not there: `stop`, or `nulls` in its place. Any other stops.
        retyped: A column of another type: `cast` if no value changes by it, or `stop`.
        renamed: Name in the file to name in the contract; files under either name are taken.
    """

    added: Literal["drop", "warn", "stop"] = "drop"
    dropped: Literal["stop", "nulls"] = "stop"
    retyped: Literal["cast", "stop"] = "cast"
    renamed: dict[str, str] = Field(default_factory=dict)


class Freshness(Strict):
    """How new a delivery's newest row must be; the rule is called `fresh`.

    Attributes:
        column: The timestamp that says when a row happened.
        max_age_hours: Hours between it and the end of the partition, at the most.
    """

    column: str
    max_age_hours: float = Field(gt=0)


class Learned(Strict):
    """Bounds that past accepted deliveries of the source set.

    Attributes:
        rows: Largest factor between the row count and the median of the past; the rule is called `usual.rows`.
        means: Column to the largest distance of its mean from the median of past means, in their robust standard
            deviations (1.4826 times the median distance); the rules are called `usual.NAME`.
        history: Least number of past deliveries; with fewer nothing is judged.
    """

    rows: float | None = Field(None, gt=1)
    means: dict[str, float] = Field(default_factory=dict)
    history: int = Field(5, ge=3)


Severity = Literal["quarantine", "stop", "warn"]


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
        severity: Rule name to what breaking it does: `quarantine` the row, `stop` the delivery, or `warn` in the
            record. Rules about rows quarantine, rules about the whole stop, and `usual` ones warn.
        evolution: What happens when a delivery has other columns.
        freshness: How new its newest row must be.
        learned: Bounds that past deliveries set.
        expectations: The user's own expectations.
    """

    columns: dict[str, Column] = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    row_rules: dict[str, str] = Field(default_factory=dict)
    nulls: tuple[str, ...] = ("",)
    policy: Policy = Policy()
    severity: dict[str, Severity] = Field(default_factory=dict)
    evolution: Evolution = Evolution()
    freshness: Freshness | None = None
    learned: Learned = Learned()
    expectations: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _key_identifies(self) -> SourceContract:
        if missing := [name for name in self.key if name not in self.columns]:
            raise ValueError(f"key column {missing[0]!r} is not among the columns")
        # Two rows without a key are not told apart, and are no repeated key either: SQL's nulls differ.
        if nullable := [name for name in self.key if self.columns[name].nullable]:
            raise ValueError(f"key column {nullable[0]!r} is nullable; a key identifies every row")
        return self

    @model_validator(mode="after")
    def _people_are_protected(self) -> SourceContract:
        """Refuse what would show a sensitive value, or would keep a key from where rows are joined."""
        if hidden := [name for name in self.key if self.columns[name].kept_out]:
            raise ValueError(
                f"key column {hidden[0]!r} is kept out of features, which join on it: say `hashed: true`, or "
                "`in_features: true`"
            )
        watched = {"freshness.column": [self.freshness.column] if self.freshness else []}
        for key, names in (watched | {"learned.means": list(self.learned.means)}).items():
            if shown := [name for name in names if name in {*self.masked, *self.hashed}]:
                raise ValueError(
                    f"{key} names {shown[0]!r}, which is sensitive or hashed: what it finds is written down"
                )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> SourceContract:
        """Refuse a name that nothing has: a typo would be a rule that is silently off."""
        named = {
            "evolution.renamed": self.evolution.renamed.values(),
            "freshness.column": [self.freshness.column] if self.freshness else [],
            "learned.means": self.learned.means,
        }
        for key, names in named.items():
            if unknown := [name for name in names if name not in self.columns]:
                raise ValueError(f"{key} names {unknown[0]!r}, which is not among the columns")
        if clash := [old for old in self.evolution.renamed if old in self.columns]:
            raise ValueError(
                f"evolution.renamed takes {clash[0]!r} for an old name, and it is a column of the contract"
            )
        whole = self.whole_rules
        for rule, severity in self.severity.items():
            if rule not in whole and rule not in self.named_row_rules:
                known = ", ".join(sorted({*whole, *self.named_row_rules}))
                raise ValueError(f"severity names the rule {rule!r}; there are {known}")
            if rule in whole and severity == "quarantine":
                raise ValueError(f"severity of {rule!r} cannot be quarantine: the rule is about the whole delivery")
        return self

    @property
    def masked(self) -> tuple[str, ...]:
        """Columns whose values nobody is shown."""
        return tuple(name for name, column in self.columns.items() if column.sensitive)

    @property
    def hashed(self) -> tuple[str, ...]:
        """Columns that are stored as pseudonyms."""
        return tuple(name for name, column in self.columns.items() if column.hashed)

    @property
    def private(self) -> bool:
        """Whether a file of this source holds what nobody is shown."""
        return bool(self.masked or self.hashed)

    @property
    def named_row_rules(self) -> set[str]:
        """Names of the rules about single rows."""
        kinds = ("required", "finite", "range", "values", "pattern")
        of_columns = {f"{name}.{kind}" for name in self.columns for kind in kinds}
        return {*of_columns, "key.unique", "real_date", "in_partition", *self.row_rules}

    @property
    def whole_rules(self) -> set[str]:
        """Names of the rules about a whole delivery."""
        nulls = {f"{name}.nulls" for name in self.columns}
        return {*nulls, "rows", "fresh", "usual.rows", *(f"usual.{name}" for name in self.learned.means)}

    def severity_of(self, rule: str) -> Severity:
        """Return what breaking a rule does."""
        usual: Severity = "warn" if rule.startswith("usual.") else "stop"
        return self.severity.get(rule, usual if rule in self.whole_rules else "quarantine")

    @property
    def digest(self) -> str:
        """Digest of the contract's meaning."""
        return digest_of(self.model_dump(mode="json"))


class Contract(Strict):
    """What the deliveries of a model must look like.

    Attributes:
        extends: Path of another contract, relative to this one; a source named here replaces that one's as a whole.
        sources: The contract of each source, by its name in `model.yaml`.
    """

    extends: str | None = None
    sources: dict[str, SourceContract] = Field(default_factory=dict)


def load_contract(path: Path) -> Contract:
    """Read a contract file, with what it extends.

    Raises:
        ConfigError: See `incumbent.config.read_yaml`; also when only some sources hash a key that they share.
    """
    contract = read_yaml(path, Contract)
    if contract.extends is not None:
        base = read_yaml((path.parent / contract.extends).resolve(), Contract)
        contract = Contract(sources={**base.sources, **contract.sources})
    _check_shared_keys(path, contract)
    return contract


def _check_shared_keys(path: Path, contract: Contract) -> None:
    """Refuse a key that some sources hash and others do not, or in another type: no row would find its partner."""
    keys = {name for source in contract.sources.values() for name in source.key}
    for name in sorted(keys):
        holders = {source: each.columns[name] for source, each in contract.sources.items() if name in each.columns}
        hashed = [source for source, column in holders.items() if column.hashed]
        alike = len({column.dtype for column in holders.values()}) == 1
        if hashed and not (alike and len(hashed) == len(holders)):
            found = [f"{source} {column.dtype}{' hashed' * column.hashed}" for source, column in holders.items()]
            raise ConfigError(
                "a key is hashed in one source and not, or in another type, in another",
                where=f"{path}, column {name}",
                expected=f"`hashed: true` and one dtype in {', '.join(holders)}",
                found=", ".join(found),
                next_step="hash it in all of them, or give it another name where it means something else",
            )


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
