"""Data Docs of a delivery: what was expected and found, as Great Expectations draws it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incumbent.validate.suite import Judgement, expectation, hush


def write_docs(judgements: Sequence[Judgement], source: str, folder: Path, now: datetime | None = None) -> None:
    """Write the pages of one delivery's results; nothing is computed again.

    Args:
        judgements: Every result.
        source: Name of the suite and of the pages, such as `flights`.
        folder: Folder of the site.
        now: When it was judged, for the page; the clock if None.

    Raises:
        ConfigError: An expectation cannot be built.
    """
    hush()
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gx.ExpectationSuite(name=source))
    suite.expectations = [expectation(dict(found.config), source) for found in judgements]
    suite.save()
    run = RunIdentifier(run_time=now or datetime.now(UTC))
    held = sum(found.success for found in judgements)
    results = ExpectationSuiteValidationResult(
        success=held == len(judgements),
        results=[_result(found, source) for found in judgements],
        suite_name=source,
        statistics={
            "evaluated_expectations": len(judgements),
            "successful_expectations": held,
            "unsuccessful_expectations": len(judgements) - held,
            "success_percent": 100 * held / len(judgements),
        },
        meta={"run_id": run, "validation_time": run.run_time, "active_batch_definition": {"data_asset_name": source}},
    )
    identifier = ExpectationSuiteIdentifier(source)
    context.validation_results_store.store_validation_results(
        suite_validation_result=results,
        suite_validation_result_identifier=ValidationResultIdentifier(identifier, run, source),
        expectation_suite_identifier=identifier,
    )
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        "docs", {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": backend}
    )
    context.build_data_docs(site_names=["docs"])


def _result(found: Judgement, source: str) -> Any:
    from great_expectations.core import ExpectationValidationResult

    return ExpectationValidationResult(
        success=found.success,
        expectation_config=expectation(dict(found.config), source).configuration,
        result=dict(found.result),
        exception_info={"raised_exception": False, "exception_traceback": None, "exception_message": None},
    )
