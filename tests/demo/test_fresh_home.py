"""What a demonstration clears away: its own, and nothing that anybody put there since."""

from pathlib import Path

import pytest
from demo.__main__ import fresh_home

from incumbent.embedded.settings import Settings
from incumbent.errors import UnavailableError

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"INCUMBENT_HOME": str(tmp_path / "var")}, tmp_path)


def test_an_earlier_demonstration_is_cleared_away(settings: Settings) -> None:
    fresh_home(settings)
    left = settings.home / "store" / "flights_delay" / "records"
    left.mkdir(parents=True)
    (settings.home / "store" / "_shared").mkdir()
    fresh_home(settings)
    assert not left.exists()


@pytest.mark.parametrize("place", ["store/orders_late", "raw/orders"])
def test_what_somebody_put_there_since_is_not(settings: Settings, place: str) -> None:
    fresh_home(settings)
    own = settings.home / place
    own.mkdir(parents=True)
    with pytest.raises(UnavailableError, match=own.name):
        fresh_home(settings)
    assert own.is_dir()


def test_nor_is_a_home_that_no_demonstration_made(settings: Settings) -> None:
    (settings.home / "store").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="store"):
        fresh_home(settings)
