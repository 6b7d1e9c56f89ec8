"""A training set of the past is had again as it was known then."""

import pytest
from tests.incumbent.snapshot.conftest import MODEL, built, deliver, now, snapped

from incumbent.errors import TrainingError
from incumbent.features.build import build
from incumbent.features.known import build_known, known_features
from incumbent.features.rows import labelled_rows
from incumbent.snapshot.take import compose, take
from incumbent.store import ModelStore

pytestmark = pytest.mark.unit
LATER = b"SELECT id, ts, x + 1 AS x, (SELECT count(*) FROM weather) AS seen FROM batch"


def test_what_was_restated_since_is_not_seen(anywhere: ModelStore) -> None:
    deliver(anywhere, "2020-01")
    deliver(anywhere, "2020-02")
    past = snapped(anywhere, "2020-02", "r1")
    moment = now()
    deliver(anywhere, "2020-01", shift=0.25)
    deliver(anywhere, "2020-03")
    assert snapped(anywhere, "2020-03", "r2").id != past.id
    assert compose(anywhere, MODEL, past.definition, "2020-02", {}, moment).id == past.id
    assert compose(anywhere, MODEL, past.definition, "2020-02", {}).id != past.id


def test_a_definition_that_came_later_is_computed_from_what_was_known_then(store: ModelStore) -> None:
    deliver(store, "2020-01", weather=5)
    built(store, "2020-01")
    moment = now()
    deliver(store, "2020-01", shift=0.25, weather=7)
    built(store, "2020-01")
    definition = built(store, "2020-01", LATER)
    current = store.features(definition).parts()
    with pytest.raises(TrainingError, match="not computed") as caught:
        compose(store, MODEL, definition, "2020-01", {}, moment)
    assert caught.value.found == "nothing for 2020-01"
    assert build_known(store, MODEL, definition, "2020-01", moment) == ["2020-01"]
    assert build_known(store, MODEL, definition, "2020-01", moment) == []
    snapshot = take(store, MODEL, definition, "2020-01", "r1", {}, moment)
    rows = labelled_rows(store, MODEL, snapshot)
    assert (rows["x"][0].as_py(), rows["seen"][0].as_py()) == (1.0, 5)
    assert store.features(definition).parts() == current


def test_a_batch_that_nobody_had_let_through_leaves_what_was_there(store: ModelStore) -> None:
    for month in ("2020-01", "2020-02"):
        deliver(store, month)
        definition = built(store, month)
    first = store.features(definition).parts()
    deliver(store, "2020-02", shift=1e7)
    assert build(store, MODEL, definition, "2020-02").hold is not None
    deliver(store, "2020-01", shift=0.25)
    deliver(store, "2020-03")
    found = known_features(store, MODEL, definition, "2020-03", now())
    assert (found.parts, found.unbuilt) == (first, ())
