"""A contract as a Great Expectations suite: its rules judged from one pass, the user's own run by the library."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from incumbent.admit.order import Reason
from incumbent.errors import ConfigError
from incumbent.sensitive import NOT_SHOWN
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import TABLE, DeliveredRows, Tally
from incumbent.validate.rules import RowRule
from incumbent.validate.usual import Bounds

ROW_COUNT = "expect_table_row_count_to_be_between"
SUBJECTS = ("column", "column_list")  # what an expectation is about, for its name
NAMES = (*SUBJECTS, "column_A", "column_B")
# What may be said of a sensitive column: none of its values.
COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")


@dataclass(frozen=True)
class Judgement:
    """The result of one expectation.

    Attributes:
        rule: Name of the contract's rule; empty for an expectation of the user's own.
        expectation: Its name and what it is about.
        success: Whether it holds.
        severity: `stop`, `warn`, or `quarantine` for a row rule.
        observed: What was found, in a few words.
        reason: Code of a stop that comes from it.
        config: The expectation as Great Expectations writes it.
        result: Its numbers, under Great Expectations' names.
    """

    rule: str
    expectation: str
    success: bool
    severity: str
    observed: str
    reason: Reason
    config: Mapping[str, Any]
    result: Mapping[str, Any]


def results_of(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """Return results as plain data for the record; a number that JSON has not is told in words."""
    text = json.dumps([asdict(found) for found in judgements], default=str)
    plain: list[dict[str, Any]] = json.loads(text, parse_constant=str)
    return plain


def judge(
    contract: SourceContract,
    rules: Sequence[RowRule],
    tally: Tally,
    oldest: datetime | None = None,
    usual: Mapping[str, Bounds] | None = None,
) -> list[Judgement]:
    """Say what the contract's own expectations find, from the numbers of one pass.

    Args:
        contract: The source's contract.
        rules: Its row rules.
        tally: What was counted.
        oldest: Oldest time, UTC, that the newest row may have; None if the contract does not ask.
        usual: Bounds of the learned rules, by name.
    """
    out = []
    for each in rules:
        broken = tally.broken[each.name]
        out.append(_counted(_row_rule_config(contract, each), tally.rows, broken, broken == 0, Reason.RULE))
    for name, column in contract.columns.items():
        if column.nullable and column.max_null_share < 1:
            kwargs = {"column": name, "mostly": 1 - column.max_null_share}
            config = _whole(contract, f"{name}.nulls", "expect_column_values_to_not_be_null", kwargs)
            nulls, few = tally.nulls[name], tally.nulls[name] <= column.max_null_share * tally.rows
            out.append(_counted(config, tally.rows, nulls, few, Reason.NULL_SHARE))
    counted = Bounds(contract.policy.min_rows, contract.policy.max_rows, 0)
    out.append(_between(contract, "rows", ROW_COUNT, {}, tally.rows, counted, Reason.ROW_COUNT))
    if oldest is not None and contract.freshness is not None:
        kwargs = {"column": contract.freshness.column, "min_value": oldest.isoformat(), "max_value": None}
        config = _whole(contract, "fresh", "expect_column_max_to_be_between", kwargs)
        fresh = tally.newest is not None and tally.newest >= oldest
        newest = None if tally.newest is None else tally.newest.isoformat()
        out.append(_judgement(config, fresh, {"observed_value": newest}, Reason.STALE))
    for rule, found in (usual or {}).items():
        out += _usual(contract, rule, tally, found)
    return out


def judge_own(rows: DeliveredRows, contract: SourceContract, source: str) -> list[Judgement]:
    """Run the user's own expectations through Great Expectations over the loaded rows.

    Raises:
        ConfigError: An expectation cannot be built or computed.
    """
    if not contract.expectations:
        return []
    hush()
    import great_expectations as gx

    from incumbent.validate import gx_duckdb  # noqa: F401 - registers the datasource

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    data = context.data_sources.add_duckdb_file("delivery", connection_string=f"duckdb:///{rows.saved()}")
    batch = data.add_table_asset(source, table_name=TABLE).add_batch_definition_whole_table("all")
    suite = context.suites.add(gx.ExpectationSuite(name=source))
    configs = [_config(own.type, own.kwargs, severity=own.severity) for own in contract.expectations]
    suite.expectations = [expectation(config, source) for config in configs]
    suite.save()
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=source, data=batch, suite=suite))
    try:
        found = definition.run(result_format="SUMMARY").results
        return [_own(result, source, contract.masked) for result in found]
    finally:
        data.get_execution_engine().close()  # else nobody may open the file with other settings
        data.get_engine().dispose()


def hush() -> None:
    """Keep Great Expectations' two hundred lines about itself out of a log that is about a delivery."""
    warnings.filterwarnings("ignore", module="great_expectations")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    for name in ("_docs_decorators", "data_context.types.base"):  # they set a level of their own
        logging.getLogger(f"great_expectations.{name}").disabled = True


def _row_rule_config(contract: SourceContract, rule: RowRule) -> dict[str, Any]:
    """Return the named expectation where there is one (it renders best), else the rule's own SQL."""
    kind, kwargs = _named(contract, rule)
    return _config(kind, kwargs, rule=rule.name, severity=rule.severity)


def _named(contract: SourceContract, rule: RowRule) -> tuple[str, dict[str, Any]]:
    column = rule.column
    if rule.kind == "required":
        return "expect_column_values_to_not_be_null", {"column": column}
    if rule.kind == "range":
        low, high = contract.columns[column].min, contract.columns[column].max
        return "expect_column_values_to_be_between", {"column": column, "min_value": low, "max_value": high}
    if rule.kind == "values":
        allowed = list(contract.columns[column].values or ())
        return "expect_column_values_to_be_in_set", {"column": column, "value_set": allowed}
    if rule.kind == "unique" and len(contract.key) > 1:
        return "expect_compound_columns_to_be_unique", {"column_list": list(contract.key)}
    if rule.kind == "unique":
        return "expect_column_values_to_be_unique", {"column": contract.key[0]}
    good = rule.good.replace("{", "{{").replace("}", "}}")  # Great Expectations fills in {batch}
    query = f"SELECT * FROM {{batch}} WHERE NOT coalesce({good}, true)"
    described = f"{rule.name}: {rule.reason}"
    return "unexpected_rows_expectation", {"unexpected_rows_query": query, "description": described}


def _config(kind: str, kwargs: dict[str, Any], *, rule: str = "", severity: str = "quarantine") -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"rule": rule, "policy": severity}}


def expectation(config: dict[str, Any], source: str) -> Any:
    """Return an expectation as Great Expectations' own object.

    Raises:
        ConfigError: There is none of this type, or its arguments do not fit.
    """
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        return ExpectationConfiguration(**config).to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            "an expectation cannot be built",
            where=f"contract.yaml, sources.{source}, {config['type']} {config['kwargs']}",
            expected="a Great Expectations type with its arguments",
            found=" ".join(str(error).split())[:300],
            next_step="look the expectation up in the Great Expectations gallery",
        ) from error


def _usual(contract: SourceContract, rule: str, tally: Tally, bounds: Bounds) -> list[Judgement]:
    """Judge a number by the past; a column without any value has no mean to judge."""
    column = rule.removeprefix("usual.")
    if rule == "usual.rows":
        return [_between(contract, rule, ROW_COUNT, {}, tally.rows, bounds, Reason.UNUSUAL)]
    if column not in tally.means:
        return []
    kind, kwargs = "expect_column_mean_to_be_between", {"column": column}
    return [_between(contract, rule, kind, kwargs, tally.means[column], bounds, Reason.UNUSUAL)]


def _whole(contract: SourceContract, rule: str, kind: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the expectation of a rule about the whole delivery."""
    return _config(kind, kwargs, rule=rule, severity=contract.severity_of(rule))


def _between(
    contract: SourceContract, rule: str, kind: str, kwargs: dict[str, Any], value: float, bounds: Bounds, reason: Reason
) -> Judgement:
    config = _whole(contract, rule, kind, {**kwargs, "min_value": bounds.low, "max_value": bounds.high})
    return _judgement(config, bounds.low <= value <= bounds.high, {"observed_value": value}, reason)


def _counted(config: dict[str, Any], rows: int, broken: int, success: bool, reason: Reason) -> Judgement:
    result = {
        "element_count": rows,
        "unexpected_count": broken,
        "unexpected_percent": 100 * broken / rows if rows else 0.0,
        "partial_unexpected_list": [],
    }
    return _judgement(config, success, result, reason)


def _own(result: Any, source: str, masked: Sequence[str]) -> Judgement:
    config = {"type": result.expectation_config.type, "kwargs": dict(result.expectation_config.kwargs)}
    config["kwargs"].pop("batch_id", None)
    config["meta"] = result.expectation_config.meta or {}
    if said := _exceptions(result.exception_info or {}):
        subject = {key: value for key, value in config["kwargs"].items() if key in SUBJECTS}
        raise ConfigError(
            "an expectation cannot be computed",
            where=f"contract.yaml, sources.{source}, {config['type']} {subject}",
            expected="a result",
            found=NOT_SHOWN if masked else said[0],
            next_step="correct the expectation's column or SQL",
        )
    found = result.result or {}
    if masked and not _is_about_others(config["kwargs"], masked):
        found = {key: value for key, value in found.items() if key in COUNTS}
    return _judgement(config, bool(result.success), found, Reason.EXPECTATION)


def _is_about_others(kwargs: Mapping[str, Any], masked: Sequence[str]) -> bool:
    """Return whether an expectation names its columns, and none of them is sensitive."""
    named = [kwargs[key] for key in NAMES if key in kwargs]
    columns = [name for each in named for name in ([each] if isinstance(each, str) else each)]
    return bool(columns) and not set(columns) & set(masked)


def _judgement(config: Mapping[str, Any], success: bool, result: Mapping[str, Any], reason: Reason) -> Judgement:
    subject = next((value for key, value in config["kwargs"].items() if key in SUBJECTS), "")
    return Judgement(
        rule=config["meta"].get("rule", ""),
        expectation=f"{config['type']} {subject}".strip(),
        success=success,
        severity=config["meta"].get("policy", "stop"),
        observed=str(result.get("unexpected_count", result.get("observed_value", ""))),
        reason=reason,
        config=config,
        result=result,
    )


def _exceptions(info: dict[str, Any]) -> list[str]:
    """Return what the database said, without the query: Great Expectations nests it by metric or not at all."""
    found = [each for each in (info, *info.values()) if isinstance(each, dict) and each.get("raised_exception")]
    texts = [" ".join(str(each.get("exception_message", "")).split()) for each in found]
    return [text.split(" [SQL:")[0][:300] for text in texts]
