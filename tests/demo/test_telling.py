"""What the demonstration tells: the whole of each sentence, and each month of the references as it is known."""

from typing import Any

import pytest

from demo import references, timeline

pytestmark = pytest.mark.unit


def test_a_long_sentence_is_wrapped_below_itself_and_never_cut() -> None:
    words = "Not promoted: +0.004 AUC; about 34,000 more labelled rows (37 days) would settle it. " * 3
    said = timeline.reasons([("gate", f"2013-09: {words.strip()}"), ("retrain", "Short.")])
    assert said[0].startswith("  gate       Not promoted: ")
    assert said[1].startswith(" " * 13) and said[1][13] != " "
    assert " ".join(line[13:] for line in said[:-1]) == words.strip()
    assert max(map(len, said)) <= timeline.WIDTH + 13
    assert said[-1] == "  retrain    Short."


def test_each_month_of_the_references_is_told_before_the_next_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def computed(_store: Any, _model: Any, _definition: str, until: str, key: str) -> float:
        seen.append((until, key))
        return 0.7

    monkeypatch.setattr(references, "_one_month", computed)
    before = {"2013-02": "2013-01", "2013-03": "2013-02"}
    found = references.monthly(
        None,
        None,
        "d",
        list(before),
        before.__getitem__,
        lambda key, auc: seen.append((key, auc)),  # type: ignore[arg-type]
    )
    assert found == {"2013-02": 0.7, "2013-03": 0.7}
    assert seen == [("2013-01", "2013-02"), ("2013-02", 0.7), ("2013-02", "2013-03"), ("2013-03", 0.7)]
