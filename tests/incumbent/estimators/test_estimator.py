"""An estimator that cannot be had says what to install."""

import sys

import pytest

from incumbent import estimators
from incumbent.errors import ConfigError
from incumbent.estimators import estimator
from incumbent.estimators.abilities import ABILITIES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", [name for name, ability in ABILITIES.items() if ability.extra])
def test_a_library_that_is_not_installed_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.startswith(f"incumbent.estimators.{name}")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr(estimators, module.rpartition(".")[2])
    monkeypatch.setitem(sys.modules, ABILITIES[name].library, None)
    with pytest.raises(ConfigError, match=rf"install incumbent\[{name}\]") as caught:
        estimator(name)
    assert caught.value.expected == ABILITIES[name].library


def test_a_name_that_nothing_has_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there is no such estimator"):
        estimator("encoding")
