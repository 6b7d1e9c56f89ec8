"""Data Docs of deliveries: what was expected and found, as Great Expectations draws it.

Drawn from the results on record, after the verdict and apart from it: the library takes seconds to load, and
nobody who waits for the rows has to wait for a picture of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.validate.delivery import ONCE
from incumbent.validate.suite import expectation, hush


def draw_missing(store: ModelStore, source: str, partition: str) -> list[Path]:
    """Draw a page for each delivery of a partition that this machine has none of; return the pages.

    A page for each, and not the library's site: that is built anew for each result, four megabytes of pictures
    included, and keeps the last one alone.
    """
    pages = []
    for name in store.records.names(Ingest.kind, f"{source}/{partition or ONCE}/"):
        record, page = store.records.get(Ingest, name), page_of(store, name)
        if record.results and not page.exists():
            judged = store.records.written(Ingest.kind, name)
            html = draw(json.loads(store.objects.get(record.results)), source, page.stem, judged)
            page.parent.mkdir(parents=True, exist_ok=True)
            page.with_suffix(".tmp").write_text(html, encoding="utf-8")
            page.with_suffix(".tmp").rename(page)
            pages.append(page)
    return pages


def page_of(store: ModelStore, name: str) -> Path:
    """Return where the page of a delivery's record lies once it is drawn."""
    source, _, rest = name.partition("/")
    return store.reports() / "data_docs" / source / f"{rest.replace('/', '_')}.html"


def draw(results: Sequence[Mapping[str, Any]], source: str, run: str, judged: datetime) -> str:
    """Return the page of one delivery's results as HTML; nothing is computed again.

    Args:
        results: Every result, as `incumbent.validate.suite.results_of` gives them.
        source: Name of the suite, such as `flights`.
        run: What the delivery is called.
        judged: When it was judged.

    Raises:
        ConfigError: An expectation cannot be built.
    """
    hush()
    from great_expectations import __version__ as version
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    named, held = RunIdentifier(run_name=run, run_time=judged), sum(found["success"] for found in results)
    validation = ExpectationSuiteValidationResult(
        success=held == len(results),
        results=[_result(found, source) for found in results],
        suite_name=source,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": 100 * held / len(results),
        },
        meta={
            "great_expectations_version": version,
            "run_id": named,
            "validation_time": judged,
            "active_batch_definition": {"data_asset_name": source},
        },
    )
    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(validation)))


def _result(found: Mapping[str, Any], source: str) -> Any:
    from great_expectations.core import ExpectationValidationResult

    return ExpectationValidationResult(
        success=found["success"],
        expectation_config=expectation(dict(found["config"]), source).configuration,
        result=dict(found["result"]),
        exception_info={"raised_exception": False, "exception_traceback": None, "exception_message": None},
    )
