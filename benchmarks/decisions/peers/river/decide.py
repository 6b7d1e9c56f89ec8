"""river 0.26: its drift detectors at their defaults, on the errors of a stream."""

from __future__ import annotations

from typing import Any

import pandas as pd
from river import drift as detectors


def labelled(question: dict[str, Any]) -> list[dict[str, bool]]:
    """Return whether each detector has seen a drift in a batch of a stream; the reference comes first, unjudged."""
    watching = {
        "river ADWIN": detectors.ADWIN(),
        "river Page-Hinkley": detectors.PageHinkley(),
        "river DDM": detectors.binary.DDM(),
    }
    said = []
    for at, file in enumerate([question["reference"], *question["batches"]]):
        rows = pd.read_parquet(file)
        wrong = ((rows["prediction"] > 0.5) != (rows["label"] > 0.5)).astype(int)
        found = dict.fromkeys(watching, False)
        for error in wrong:
            for name, detector in watching.items():
                detector.update(int(error))
                found[name] |= bool(detector.drift_detected)
        if at:
            said.append(found)
    return said
