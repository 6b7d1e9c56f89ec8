"""What a version is for and what it was made of: the sections of a card up to its training."""

from __future__ import annotations

from incumbent.card.blocks import Block, Facts, Section, Share, Table, Text, number
from incumbent.card.known import Delivered, Known
from incumbent.evaluate.words import count, of, percent

MOST_FEATURES = 50
MOST_PARAMS = 40
TASKS = {"binary": "a probability", "multiclass": "a probability of each class", "regression": "a number"}
UNWRITTEN = "not written down ({} of model.yaml)"


def purpose(known: Known) -> Section:
    """Return what it is for, in the team's words, and what it predicts."""
    model, version = known.model, known.version
    label = known.snapshot.label if known.snapshot else model.label.model_dump(mode="json")
    where = label.get("where", "true")
    rows = [
        ("Owner", model.owner),
        ("Description", model.description or UNWRITTEN.format("description")),
        ("Intended use", model.card.use or UNWRITTEN.format("card.use")),
        ("Not for", model.card.not_for or UNWRITTEN.format("card.not_for")),
        ("Predicts", f"{TASKS[version.task]}, for each row of {model.batch_source}, once a {model.grain}"),
        ("The truth is", str(label.get("sql", "")) + (f", where {where}" if where != "true" else "")),
    ]
    if version.classes:
        rows.append(("Classes", ", ".join(version.classes)))
    blocks: list[Block] = [Facts(tuple(rows))]
    if known.of_then is None:
        blocks.append(Text("The configuration of its day was not kept: owner, description and use are those of today."))
    return Section("What it is for", tuple(blocks))


def data(known: Known) -> Section:
    """Return which rows it has learned from, and what was set aside of them."""
    snapshot, version = known.snapshot, known.version
    if snapshot is None:
        return Section("Data", (Text("It was adopted from elsewhere: its training data is not on record."),))
    keys = [part["partition"] for part in snapshot.features]
    begin = f" from {version.since} on" if version.since else ""
    rows = (
        ("Training rows", f"{count(version.train_rows)}{begin}, before {snapshot.train_until}"),
        ("Gate rows", f"from {snapshot.gate_from} to before {snapshot.gate_until}, which no training has seen"),
        ("Partitions", f"{len(keys)}, {min(keys, default='none')} to {max(keys, default='none')}"),
        ("Time zone", known.model.timezone),
        ("Training set", snapshot.id),
    )
    head = ("source", "role", "partitions#", "rows accepted#", "rows set aside#", "contract")
    table = Table(head, tuple(_source(each) for each in known.delivered))
    blocks: list[Block] = [Facts(rows), table]
    if sensitive := version.sensitive:
        named = "; ".join(f"{source}: {', '.join(names)}" for source, names in sorted(sensitive.items()))
        blocks.append(Text(f"Sensitive columns that its features may be made of, let in by the contract: {named}."))
    return Section("Data", tuple(blocks))


def _source(each: Delivered) -> tuple[str, ...]:
    unknown = "not told"  # of a training set that names no content of it, or of too many partitions to look up
    numbers = (each.partitions or None, each.rows, each.aside)
    shown = tuple(unknown if value is None else count(value) for value in numbers)
    return (each.source, each.role, *shown, each.contract[:16])


def features(known: Known) -> Section:
    """Return each feature, what it is, and how much the version goes by it, now and before."""
    version, figures = known.version, known.figures
    now = _shares(figures.importance if figures else {})
    before = _shares(figures.champion_importance if figures else {})
    kinds = {name: f"category, {of(len(levels), 'levels')}" for name, levels in version.categories.items()}
    order = sorted(version.features, key=lambda name: (-now.get(name, version.importance.get(name, 0.0)), name))
    largest = max([*now.values(), *([] if now else version.importance.values()), 1e-300])
    head: tuple[str, ...] = ("feature", "type", "goes by it", *(("champion before#", "change#") if before else ()))
    rows = []
    for name in order[:MOST_FEATURES]:
        share = now.get(name) if now else version.importance.get(name, 0.0)
        cell = Share((share or 0.0) / largest, "" if share is None else percent(share))
        changed = _changed(now.get(name), before.get(name)) if before else ()
        rows.append((name, kinds.get(name, "number"), cell, *changed))
    blocks: list[Block] = [Text(_meaning(known)), Table(head, tuple(rows))]
    if (more := len(order) - MOST_FEATURES) > 0:
        blocks.append(Text(f"{of(more, 'features')} that it goes by less are not listed."))
    if gone := sorted(set(before) - set(version.features)):
        told = ", ".join(f"{name} ({percent(before[name])})" for name in gone[:10])
        blocks.append(Text(f"Features of the champion before that it does not have: {told}."))
    return Section("Features, and what it goes by", tuple(blocks))


def _meaning(known: Known) -> str:
    figures = known.figures
    if figures and figures.importance:
        said = (
            f"Share of the mean size of what each feature adds to the margin, of {count(figures.explained)} gate rows"
        )
        beside = ", and of the champion that it was compared with, on the same rows. A change is in points"
        said += beside if figures.champion_importance else ""
        return f"{said}. It says what the model goes by, not what is a cause."
    why = figures.not_explained if figures and figures.not_explained else "it was judged by a release that kept none"
    return f"What features add to predictions is not known: {why}. Shares are what the training says of importance."


def _shares(sizes: object) -> dict[str, float]:
    found = dict(sizes) if isinstance(sizes, dict) else {}
    total = sum(found.values())
    return {name: size / total for name, size in found.items()} if total > 0 else {}


def _changed(now: float | None, before: float | None) -> tuple[str, str]:
    if before is None:
        return ("new", "")
    moved = 100 * ((now or 0.0) - before)
    return (percent(before), f"{round(moved, 1) or 0.0:+.1f}")


def training(known: Known) -> Section:
    """Return how it was fitted, and with what."""
    version, done, cost = known.version, known.training, known.cost
    code = version.code
    rows = [
        ("Fitted", f"{known.written[:19].replace('T', ' ')} UTC"),
        ("Estimator", f"{version.estimator}, {of(version.rounds, 'rounds')}"),
        ("Code", code.get("commit", "of no git work tree, so no commit is known")),
        ("Libraries", ", ".join(f"{name} {code[name]}" for name in sorted(code) if name not in ("commit", "packages"))),
        ("List of packages", code.get("packages", "not kept")),
    ]
    if version.base:
        word = "the same trees with another intercept as" if version.recalibrated else "goes on from"
        rows.append(("Begun", f"{word} version {version.base[:16]}"))
    if done:
        rows.append(("Fitted on", f"{done.launcher}, {done.layout or done.device}"))
        again = "yes, byte for byte" if done.exact_resume else "not promised to the byte"
        rows.append(("Can be fitted again", f"{again}; see incumbent version rebuild"))
    if cost:
        rows.append(("Took", f"{number(cost.core_seconds)} core seconds, {number(cost.gpu_seconds)} of a GPU"))
    if known.request:
        rows.append(("Asked for", f"{known.request.id}, {known.request.reason}: {known.request.message}"))
    chosen = [(name, _param(value)) for name, value in sorted(version.params.items())][:MOST_PARAMS]
    params = Table(
        ("parameter", "value"), tuple(chosen), folded=f"{of(len(version.params), 'parameters')}, the seed too"
    )
    return Section("Training", (Facts(tuple(rows)), params))


def _param(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:300]
