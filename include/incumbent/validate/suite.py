"""Compile a contract to a Great Expectations suite, run it in DuckDB and write Data Docs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incumbent.errors import ConfigError
from incumbent.validate.contract import SourceContract
from incumbent.validate.rules import RowRule

LOG = logging.getLogger(__name__)
TABLE = "batch"


@dataclass(frozen=True)
class Judgement:
    """The result of one expectation.

    Attributes:
        rule: Row rule it stands for; empty for one about the whole delivery.
        expectation: Its name and what it is about.
        success: What Great Expectations says.
        severity: `stop` or `warn`; row rules quarantine.
        observed: What was found, in a few words.
    """

    rule: str
    expectation: str
    success: bool
    severity: str
    observed: str


def judge(
    database: Path, contract: SourceContract, rules: Sequence[RowRule], name: str, docs: Path | None
) -> list[Judgement]:
    """Run the suite over the table `batch` of a DuckDB file and return every result.

    Args:
        database: Task-private DuckDB file; nothing else may have it open for writing.
        contract: The source's contract.
        rules: Its row rules.
        name: Name of the suite and of the page, such as `flights`.
        docs: Folder of the Data Docs site; None writes none.

    Raises:
        ConfigError: An expectation cannot be built or computed.
    """
    _hush()
    import great_expectations as gx

    from incumbent.validate import gx_duckdb  # noqa: F401 - registers the datasource

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_duckdb_file("delivery", connection_string=f"duckdb:///{database}")
    batch = source.add_table_asset(name, table_name=TABLE).add_batch_definition_whole_table("all")
    suite = context.suites.add(gx.ExpectationSuite(name=name))
    suite.expectations = [_expectation(config, name) for config in _configs(contract, rules)]
    suite.save()
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    if docs is not None:
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": backend}
        context.add_data_docs_site("docs", site)
    found = definition.run(result_format="SUMMARY")
    if docs is not None:
        context.build_data_docs(site_names=["docs"])
    return [_judgement(result, name) for result in found.results]


def _hush() -> None:
    """Keep Great Expectations' two hundred lines about itself out of a log that is about a delivery."""
    warnings.filterwarnings("ignore", module="great_expectations")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    for name in ("_docs_decorators", "data_context.types.base"):  # they set a level of their own
        logging.getLogger(f"great_expectations.{name}").disabled = True


def _configs(contract: SourceContract, rules: Sequence[RowRule]) -> list[dict[str, Any]]:
    configs = [_row_rule_config(contract, rule) for rule in rules]
    for name, column in contract.columns.items():
        if column.nullable and column.max_null_share < 1:
            kwargs = {"column": name, "mostly": 1 - column.max_null_share}
            configs.append(_config("expect_column_values_to_not_be_null", kwargs, severity="stop"))
    limits = {"min_value": contract.policy.min_rows, "max_value": contract.policy.max_rows}
    configs.append(_config("expect_table_row_count_to_be_between", limits, severity="stop"))
    configs += [_config(own.type, own.kwargs, severity=own.severity) for own in contract.expectations]
    return configs


def _row_rule_config(contract: SourceContract, rule: RowRule) -> dict[str, Any]:
    """Return the named expectation where there is one (it renders best), else the rule's own SQL."""
    column, kind = rule.column, rule.kind
    if kind == "required":
        return _config("expect_column_values_to_not_be_null", {"column": column}, rule=rule.name)
    if kind == "range":
        bounds = {"min_value": contract.columns[column].min, "max_value": contract.columns[column].max}
        return _config("expect_column_values_to_be_between", {"column": column, **bounds}, rule=rule.name)
    if kind == "values":
        allowed = list(contract.columns[column].values or ())
        return _config("expect_column_values_to_be_in_set", {"column": column, "value_set": allowed}, rule=rule.name)
    if kind == "unique" and len(contract.key) > 1:
        return _config("expect_compound_columns_to_be_unique", {"column_list": list(contract.key)}, rule=rule.name)
    if kind == "unique":
        return _config("expect_column_values_to_be_unique", {"column": contract.key[0]}, rule=rule.name)
    good = rule.good.replace("{", "{{").replace("}", "}}")  # Great Expectations fills in {batch}
    query = f"SELECT * FROM {{batch}} WHERE NOT coalesce({good}, true)"
    kwargs = {"unexpected_rows_query": query, "description": f"{rule.name}: {rule.reason}"}
    return _config("unexpected_rows_expectation", kwargs, rule=rule.name)


def _config(kind: str, kwargs: dict[str, Any], *, rule: str = "", severity: str = "quarantine") -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"rule": rule, "policy": severity}}


def _expectation(config: dict[str, Any], source: str) -> Any:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        return ExpectationConfiguration(**config).to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError, KeyError) as error:
        rule = config["meta"]["rule"]
        raise ConfigError(
            "an expectation cannot be built",
            where=_where(source, rule, f"{config['type']} {config['kwargs']}"),
            expected=f"SQL for row_rules.{rule}" if rule else "a Great Expectations type with its arguments",
            found=" ".join(str(error).split())[:300],
            next_step=_next_step(rule) if rule else "look the expectation up in the Great Expectations gallery",
        ) from error


def _judgement(result: Any, source: str) -> Judgement:
    config = result.expectation_config
    kwargs = {key: value for key, value in config.kwargs.items() if key in ("column", "column_list")}
    meta = config.meta or {}
    rule = meta.get("rule", "")
    if said := _exceptions(result.exception_info or {}):
        raise ConfigError(
            "an expectation cannot be computed",
            where=_where(source, rule, f"{config.type} {kwargs}"),
            expected="a result",
            found=said[0],
            next_step=_next_step(rule),
        )
    counts = result.result or {}
    observed = counts.get("unexpected_count", counts.get("observed_value", ""))
    return Judgement(
        rule=rule,
        expectation=f"{config.type} {next(iter(kwargs.values()), '')}".strip(),
        success=bool(result.success),
        severity=meta.get("policy", "stop"),
        observed=str(observed),
    )


def _exceptions(info: dict[str, Any]) -> list[str]:
    """Return what the database said, without the query: Great Expectations nests it by metric or not at all."""
    found = [each for each in (info, *info.values()) if isinstance(each, dict) and each.get("raised_exception")]
    texts = [" ".join(str(each.get("exception_message", "")).split()) for each in found]
    return [text.split(" [SQL:")[0][:300] for text in texts]


def _where(source: str, rule: str, expectation: str) -> str:
    return f"contract.yaml, sources.{source}, " + (f"rule {rule}" if rule else expectation)


def _next_step(rule: str) -> str:
    if not rule:
        return "correct the expectation's column or SQL"
    return f"correct the SQL of row_rules.{rule}, or the entry of the column that the rule is made from"
