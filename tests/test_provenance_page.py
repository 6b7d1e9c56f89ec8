"""The commands that the page about provenance shows do what it says, on a store that has lived."""

import re
import shlex
from pathlib import Path

import pytest
from lived import lived, opened, rows_of
from months import APRIL

from incumbent.cli.main import FINE, main

pytestmark = pytest.mark.unit
PAGE = (Path(__file__).parents[1] / "docs" / "provenance.md").read_text()
(EXAMPLE,) = re.findall(r"```\n(incumbent prediction why .*?)```", PAGE, re.S)
BLANKS = {"MODEL": "small", "PARTITION": APRIL, "GENERATION": "3", "DATE": "2100-01-01", "COUNT": "20"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lived")
    lived(home)
    return home


@pytest.mark.parametrize("command", EXAMPLE.splitlines())
def test_the_command_does_it(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INCUMBENT_STORE", opened(home).settings.store)
    monkeypatch.setenv("INCUMBENT_RAW", str(home / "raw"))
    monkeypatch.setenv("INCUMBENT_MODELS", str(home))
    blanks = BLANKS | {"COLUMN=VALUE": f"row={rows_of(APRIL)[0]['row'][0]}"}
    words = [blanks.get(word, word) for word in shlex.split(command)]
    assert not [word for word in words if word.isupper()]
    assert main(words[1:]) == FINE
    assert capsys.readouterr().out.splitlines()[-1].startswith("Next: ")
    assert main([*words[1:], "--json"]) == FINE
    assert capsys.readouterr().out.startswith("{")
