"""A document is shown as it is, whatever its words hold: in Markdown and as a page."""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

from incumbent.card.blocks import Document, Facts, Items, Plot, Section, Share, Table, Text, Word, shown
from incumbent.card.curve import curve
from incumbent.card.markdown import markdown
from incumbent.card.page import page

pytestmark = pytest.mark.unit
HOSTILE = '<script>alert(1)</script>|"><img src=x onerror=1>`*x*[a](javascript:b)\n# top\u202e\x00'
BINS = [
    {"rows": 100, "predicted": 0.1, "observed": 0.12, "error": 0.03},
    {"rows": 100, "predicted": 0.5, "observed": 0.4, "error": None},
]


def hostile() -> Document:
    """Return a document that says it everywhere."""
    row = (HOSTILE, Word("bad", HOSTILE), Share(7.0, HOSTILE))
    blocks = (
        Text(HOSTILE),
        Items((HOSTILE, "1. one")),
        Facts(((HOSTILE, HOSTILE),)),
        Table((HOSTILE, "b#", "c"), (row,), folded=HOSTILE),
        Plot(HOSTILE, BINS, chances=True),
        Table(tuple(f"number {at}#" for at in range(20)), (("1,234,567",) * 20,)),
    )
    return Document(HOSTILE, HOSTILE, "bad", (Section(HOSTILE, blocks),))


class Tags(HTMLParser):
    """What a browser finds: elements, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_runs_and_loads_nothing_whatever_a_name_is() -> None:
    found = Tags(page(hostile()))
    assert not {"script", "img", "link", "iframe", "object"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("style", "src", "href")]
    policy = next(value for _, value in found.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert found.text.count("<script>alert(1)</script>") >= 10, "it is text, and is read as it is"
    assert "\u202e" not in found.text and "\x00" not in found.text


def test_markdown_has_no_html_and_its_tables_their_columns() -> None:
    html = MarkdownIt("commonmark").enable("table").render(markdown(hostile()))
    found = Tags(html)
    assert not {"script", "img", "a", "em", "code"} & set(found.names)
    assert (found.names.count("h1"), found.names.count("h2")) == (1, 1)
    rows = [len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", html, re.S)]
    assert rows == [2, 2, 3, 3, 20, 20]
    assert found.names.count("li") == 2 and "ol" not in found.names


def test_what_is_not_seen_is_replaced() -> None:
    assert shown("a\u202eb\x07 \n c") == "a\ufffdb\ufffd c"


@pytest.mark.parametrize("bins", [BINS, BINS[:1], [{**BINS[1], "predicted": 0.0, "observed": 0.0}]])
@pytest.mark.parametrize("chances", [True, False])
def test_a_curve_has_a_point_for_each_bin_inside_of_the_picture(bins: list[dict[str, float]], chances: bool) -> None:
    found = Tags(curve(Plot("it", bins, chances)))
    assert found.names.count("circle") == len(bins)
    places = [float(value) for name, value in found.attributes if name in ("cx", "cy") and value]
    assert all(0 <= place <= 400 for place in places)
    whiskers = [value for name, value in found.attributes if (name, value) == ("class", "whisker")]
    assert len(whiskers) == sum(each["error"] is not None for each in bins)


def test_a_curve_of_numbers_far_from_zero_uses_its_room() -> None:
    bins = [{"rows": 50, "predicted": 1000.0 + at, "observed": 1001.0 + at, "error": 0.5} for at in range(5)]
    found = Tags(curve(Plot("it", bins, chances=False)))
    across = [float(value) for name, value in found.attributes if name == "cx" and value]
    assert max(across) - min(across) > 100
    assert "1000" in found.text and "%" not in found.text


@pytest.mark.browser
def test_a_browser_shows_it_on_a_phone_and_says_nothing(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    path, said, colours = tmp_path / "card.html", [], {}
    path.write_text(page(hostile()))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            shown_page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
            shown_page.on("console", lambda message: said.append(message.text))
            shown_page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
            shown_page.goto(path.as_uri())
            colours[scheme] = shown_page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert shown_page.evaluate("document.documentElement.scrollWidth") <= 390
            assert shown_page.evaluate("document.querySelector('.bar rect').getBoundingClientRect().width") > 0
        browser.close()
    assert said == [], "the policy lets in the style, and there is nothing else"
    assert colours["light"] != colours["dark"]
