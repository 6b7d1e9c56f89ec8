"""Airflow's pages in a real browser, after everything else has run."""

import os
import shutil
from datetime import datetime

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.integration.conftest import Demonstration

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(1500)]
WITHOUT_RUNS = ("rollback", "schedule")
DEMONSTRATED = ("flights_delay.", "flights_airtime.", "incumbent.")  # the small models run when their tests do


def _is_demonstrated(dag_id: str) -> bool:
    return dag_id.startswith(DEMONSTRATED)


def test_every_dag_opens_and_has_run(demonstration: Demonstration) -> None:
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    running = demonstration.stack
    dag_ids = [dag["dag_id"] for dag in running.api.get("/dags", limit=100)["dags"]]
    assert len(dag_ids) >= 22
    pictures = running.settings.home / "pictures"
    pictures.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(running.settings.airflow_url)
        page.fill("input[name=username]", running.api.user)
        page.fill("input[name=password]", running.api.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
        page.goto(f"{running.settings.airflow_url}/dags?limit=100")
        for dag_id in filter(_is_demonstrated, dag_ids):
            # The event itself: a mouse may hit what moves there while the list is filling.
            page.get_by_role("link", name=dag_id, exact=True).first.dispatch_event("click")
            expect(page.get_by_role("heading", name=dag_id)).to_be_visible()
            page.screenshot(path=pictures / f"{dag_id}.png")
            page.go_back()
            expect(page.get_by_role("heading", name=dag_id)).to_be_hidden()
        browser.close()


def test_the_last_run_of_every_dag_succeeded_and_nothing_waits(demonstration: Demonstration) -> None:
    api, began = demonstration.stack.api, datetime.fromisoformat(demonstration.report["began"])
    assert api.get("/importErrors")["total_entries"] == 0
    assert [run["dag_id"] for state in ("failed", "running", "queued") for run in api.runs(state=state)] == []
    last: dict[str, dict[str, str]] = {}
    for run in api.runs():
        if run["start_date"] >= last.get(run["dag_id"], {"start_date": ""})["start_date"]:
            last[run["dag_id"]] = run
    dag_ids = [dag["dag_id"] for dag in api.get("/dags", limit=100)["dags"]]
    for dag_id in dag_ids:
        if _is_demonstrated(dag_id) and not dag_id.endswith(WITHOUT_RUNS):
            assert last[dag_id]["state"] == "success", dag_id
            assert datetime.fromisoformat(last[dag_id]["start_date"]) >= began, dag_id
