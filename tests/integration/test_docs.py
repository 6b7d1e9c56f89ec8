"""Commands in the documentation work: they are executed here, or checked by make itself."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.integration.conftest import Stack

from incumbent.cli.main import COMMANDS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# They start or stop what the other tests stand on, and run there.
ELSEWHERE = {"incumbent up", "incumbent down"}
BLANKS = {"MODEL": "flights_delay"}
WHOLE = {("doctor",), ("env",), ("store", "check")}  # commands that need no more words


def commands() -> list[str]:
    """Return every command that a page shows, in a code block or between backticks."""
    found = set()
    for page in PAGES:
        for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.S):
            for line in code.strip("`").splitlines():
                if re.match(r"(make|incumbent|airflow) \S", line.strip()):
                    found.add(line.strip().split("  #")[0])
    return sorted(found)


def test_there_are_commands_to_try() -> None:
    assert {"make demo", "make test", "make up"} <= set(commands())


@pytest.mark.parametrize("command", [found for found in commands() if found.startswith("make ")])
def test_make_knows_the_target(command: str) -> None:
    words = [*shlex.split(command), "--dry-run"]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def tried(words: list[str]) -> list[str]:
    """Return the words to run: a command that is only named, or has a blank that nothing fills, says its help."""
    named = next((each.words for each in COMMANDS if tuple(words[1 : 1 + len(each.words)]) == each.words), ())
    is_only_named = tuple(words[1:]) == named and named not in WHOLE
    if named and (is_only_named or any(word.isupper() or word == "…" for word in words)):
        return ["incumbent", *named, "--help"]
    return words


@pytest.mark.parametrize(
    "command", [found for found in commands() if not found.startswith("make ") and found not in ELSEWHERE]
)
def test_the_command_succeeds(running: Stack, command: str) -> None:
    for blank, value in BLANKS.items():
        command = command.replace(blank, value)
    done = running.execute(*tried(shlex.split(command)))
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
