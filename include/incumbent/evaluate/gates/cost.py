"""The gate of what errors cost: a better ranking that costs the business more is not promoted."""

from __future__ import annotations

import numpy as np

from incumbent.config import Cost
from incumbent.errors import ConfigError
from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.gates.result import Result, bounded, champion_of, confidence, does_not_apply, numbers
from incumbent.evaluate.words import count
from incumbent.stats import mean_difference


def cost(contest: Contest) -> Result:
    """The mean cost of a row is not larger than the champion's by more than the limit, surely."""
    asked = contest.limits.cost
    if asked is None or contest.champion is None:
        return does_not_apply("cost", "there is no champion to compare with")
    ours, theirs = (costs(contest, asked, scores) for scores in (contest.challenger, champion_of(contest)))
    bad = int((~np.isfinite(ours) | ~np.isfinite(theirs)).sum())
    if bad:
        return {
            "gate": "cost",
            "passed": False,
            "rows": bad,
            "sentence": f"{count(bad)} rows have no cost: NULL or NaN",
        }
    more, alpha = mean_difference(ours - theirs, contest.clusters), contest.loss_alpha
    return {
        "gate": "cost",
        "passed": bounded(more, asked.max_increase, alpha),
        "candidate": float(ours.mean()),
        "champion": float(theirs.mean()),
        **numbers(more, alpha),
        "max_increase": asked.max_increase,
        "sentence": f"a row costs {ours.mean():.4g}, the champion's {theirs.mean():.4g}: {more.estimate:+.4g}, at most "
        f"{more.upper(alpha):+.4g} {confidence(alpha)}; {asked.max_increase:+.4g} is allowed",
    }


def costs(contest: Contest, asked: Cost, scores: Floats) -> Floats:
    """Return what each row costs, shape (n_rows,).

    Raises:
        ConfigError: The SQL fails.
    """
    if asked.sql is not None:
        return _by_sql(contest, asked.sql, scores)
    chosen, positive = scores >= asked.threshold, contest.labels > 0.5
    wrong = (chosen & ~positive) * (asked.false_positive or 0.0) + (~chosen & positive) * (asked.false_negative or 0.0)
    return np.asarray(wrong, dtype=np.float64)


def _by_sql(contest: Contest, sql: str, scores: Floats) -> Floats:
    import duckdb
    import pyarrow as pa

    from incumbent.features.compute import open_duckdb

    label, prediction = contest.labels, scores
    if contest.classes:
        names = np.array(contest.classes)
        label, prediction = names[contest.labels.astype(np.int64)], names[scores.argmax(axis=1)]
    connection = open_duckdb()
    try:
        rows = pa.table({"row": np.arange(label.size), "label": label, "prediction": prediction})
        connection.register("rows", rows)
        query = f"SELECT row, ({sql})::DOUBLE AS cost FROM rows ORDER BY row"
        found = connection.sql(query).to_arrow_table()["cost"]
    except duckdb.Error as error:
        raise ConfigError(
            "the cost cannot be computed",
            where="model.yaml: gates.cost.sql",
            expected="an expression over label and prediction that gives a number for each row",
            found=" ".join(str(error).split())[:300],
            next_step="correct the SQL",
        ) from error
    finally:
        connection.close()
    return np.asarray(found, dtype=np.float64)  # a NULL becomes NaN
