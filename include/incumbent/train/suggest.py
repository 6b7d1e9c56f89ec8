"""Draw a trial's parameters with Optuna: a pure function of the trials that are known, the seed and the number.

The study is made anew for each trial. So it does not matter who asks, or how often the one who asks was killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from incumbent.config import Choice, Range
from incumbent.records import digest_of
from incumbent.train.space import Space, is_whole, is_within


def suggest(
    space: Space,
    known: Sequence[tuple[Mapping[str, Any], float]],
    begun: Sequence[Mapping[str, Any]],
    seed: int,
    number: int,
) -> dict[str, Any]:
    """Return the parameters of a trial.

    Args:
        space: Parameter to range or values.
        known: Parameters of earlier trials with their loss; those outside the space are left out.
        begun: Parameters of trials whose outcome is not known; a little is done not to draw them again.
        seed: Of the search.
        number: Of the trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it says of each study that it was made
    distributions = {name: distribution(space[name]) for name in sorted(space)}
    sampler = optuna.samplers.TPESampler(seed=int(digest_of([seed, number])[:8], 16))
    study = optuna.create_study(sampler=sampler)
    for params, loss in known:
        if is_within(space, params):
            study.add_trial(_trial(distributions, params, loss))
    for params in begun:
        if is_within(space, params):
            study.add_trial(_trial(distributions, params, None))
    return dict(study.ask(distributions).params)


def distribution(values: Range | Choice) -> BaseDistribution:
    """Return what Optuna calls a range or a list of values."""
    if not isinstance(values, Range):
        return CategoricalDistribution(values)
    if is_whole(values):
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _trial(distributions: dict[str, BaseDistribution], params: Mapping[str, Any], loss: float | None) -> FrozenTrial:
    given = {name: params[name] for name in distributions}
    if loss is None:
        return create_trial(state=TrialState.RUNNING, params=given, distributions=distributions)
    return create_trial(params=given, distributions=distributions, value=loss)
