"""The page shows the recorded verdict, and data can neither script nor break it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from incumbent.monitor.report import write

pytestmark = [pytest.mark.unit, pytest.mark.slow]

HOSTILE = "</script><script>alert(1)</script>"
VERDICT = {"tier": "drift", "sentence": "moved <b>x</b>", "score": {"effect": 0.1}, "batches": 1, "generation": 1}


def rows(x: object) -> pa.Table:
    return pa.table({"level": [HOSTILE, "b"] * 150, "x": x})


def test_the_verdict_heads_the_page_and_data_stays_data(tmp_path: Path) -> None:
    numbers = rows(np.linspace(0, 1, 300))
    write(tmp_path / "page.html", numbers, numbers, ["level", "x"], VERDICT, 100)
    page = (tmp_path / "page.html").read_text()
    head, body = page.split("<body>", 1)
    assert head.rstrip().endswith("</head>")
    assert "Verdict: drift. moved &lt;b&gt;x&lt;/b&gt;" in body[:400]
    assert "alert(1)" in page  # it is drawn, as text
    assert HOSTILE not in page


def test_columns_without_values_are_named_and_left_out(tmp_path: Path) -> None:
    empty = rows(pa.array([None] * 300, pa.float64()))
    write(tmp_path / "one.html", rows(np.ones(300)), empty, ["level", "x"], VERDICT, 100)
    assert "no value: x." in (tmp_path / "one.html").read_text()
    write(tmp_path / "none.html", rows(np.ones(300)), empty.slice(0, 0), ["level", "x"], VERDICT, 100)
    assert "no value: level, x." in (tmp_path / "none.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.html", "one.html"]


def test_nothing_is_drawn_where_features_may_be_made_of_sensitive_columns(tmp_path: Path) -> None:
    numbers = rows(np.linspace(0, 1, 300))
    path = tmp_path / "page.html"
    write(path, numbers, numbers, ["level", "x"], VERDICT, 100, sensitive=["people.mail"])
    page = path.read_text()
    assert "Verdict: drift." in page and "Nothing is drawn" in page and "people.mail" in page
    assert "alert(1)" not in page
