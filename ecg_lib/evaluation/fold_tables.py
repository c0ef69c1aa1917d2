"""The table of a clean protocol: models on the same test pages, with intervals and tests.

A model's folds are pooled: over them, each page is tested once. Models with different folds, or
folds of other pages, cannot be compared row by row, so the table has a part for each set of folds
with all models that have them. A model with several seeds has a row for their mean probability as
well. Everything is computed from the committed predictions.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_lib.data.classes import DISPLAY_NAMES as CLASS_NAMES
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.evaluation.calibration import (
    CALIBRATED,
    PROBABILITY,
    brier_score,
    expected_calibration_error,
    score,
)
from ecg_lib.evaluation.comparison import compare, mean_of_models
from ecg_lib.evaluation.intervals import (
    CONFIDENCE,
    RESAMPLES,
    figures_in_a_row,
    intervals_in_a_table,
)
from ecg_lib.evaluation.markdown import markdown, ours_below, plain
from ecg_lib.models import PUBLISHED
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import Run, finished_runs, read_runs
from ecg_lib.runs.names import MODEL_NAMES, words_for_mean
from ecg_lib.runs.predictions import PREDICTIONS

ENSEMBLE = "ensemble"
MIXED_PRECISION = "mixed precision"
_PERCENT = round(100 * CONFIDENCE)

_SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
}


def fold_table(folder: Path) -> pd.DataFrame:
    """Compute all figures of all models of a folder, on each set of folds that some model has.

    Args:
        folder: a folder of run folders `<model>[-<variant>]-s<seed>-f<fold>`.

    Returns:
        DataFrame with one row per model and set of folds: folds, model, run (its name without the
        fold), epochs (per fold), seed (or several, such as "1+2"), device, minutes, pages; each
        figure of `figures` with its `_low` and `_high`; ece and brier, and the same
        after temperature scaling as `ece_calibrated` and `brier_calibrated`. Rows of the same
        folds are on the same pages.
    """
    return _fold_table(read_runs(folder))


def _fold_table(runs):
    members = _runs_by_model(runs)
    return pd.DataFrame(
        [
            {"folds": _numbers(folds), **_describe(name, members, folds), **_figures(scored)}
            for folds, models in _parts(members)
            for name, scored in models.items()
        ]
    )


def comparison_table(folder: Path) -> pd.DataFrame:
    """Test all pairs of models exactly, in a part for each set of folds.

    For a model with several seeds, the first seed and the mean of all are compared.

    Returns:
        DataFrame with the columns of `compare`, and folds; Holm's correction is over
        the pairs of the same folds.
    """
    return _comparison_table(read_runs(folder))


def _comparison_table(runs):
    compared = [
        compare(_one_seed_each(models)).assign(folds=_numbers(folds))
        for folds, models in _parts(_runs_by_model(runs))
    ]
    return pd.concat(compared, ignore_index=True)


def scored_models(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the scored pages of all models of a folder of runs, as `score` does, by title."""
    return {
        f"{name}, {_in_words(_numbers(folds))}": scored
        for folds, models in _parts(_runs_by_model(read_runs(folder)))
        for name, scored in models.items()
    }


def table_markdown(folder: Path) -> str:
    """Write the table as Markdown: the figures with their intervals, and a caption."""
    runs = read_runs(folder)
    return _table_markdown(runs, _fold_table(runs))


def side_by_side(folder: Path) -> str:
    """Write the figures of the same models under all protocols side by side.

    Args:
        folder: a folder of folders of runs, `<results>/<data>`.

    Returns:
        Markdown: one row per model, with its accuracy and macro F1 on test pages per protocol.
    """
    protocols = [name for name in PROTOCOLS if finished_runs(folder / name)]
    columns = {}
    for protocol in protocols:
        table = fold_table(folder / protocol)
        # The first row of a model is that of its largest set of folds and its first seed.
        table = table[table["run"] != ENSEMBLE].drop_duplicates("model").set_index("model")
        part = table["folds"] != _range(range(PROTOCOLS[protocol].folds))
        folds = (", " + table["folds"].map(_in_words)).where(part, "")
        columns[f"{protocol}: accuracy"] = intervals_in_a_table(table, "accuracy") + folds
        columns[f"{protocol}: macro F1"] = intervals_in_a_table(table, "macro_f1") + folds
    rows = pd.DataFrame(columns).reindex(
        sorted({name for column in columns.values() for name in column.index}, key=_rank)
    )
    described = "; ".join(f"{name}: {PROTOCOLS[name].description}" for name in protocols)
    return (
        f"{markdown(ours_below(rows.reset_index(names='model')))}\n"
        f"Data: {plain(folder.name)}. Test pages only, in brackets the {_PERCENT} % interval by "
        f"bootstrap over exams. {described[0].upper()}{described[1:]}. Epochs, seeds and devices "
        f"stand in each protocol's own table. Computed from each run's {PREDICTIONS}.\n"
    )


def _rank(model):
    """Place of a model's display name, with or without a variant, in the order of the tables."""
    names = list(MODEL_NAMES.values())
    return max(place for place, name in enumerate(names) if model.startswith(name)), model


def report(runs: list[Run]) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Make the table of runs, with the figures of each class and paired tests.

    Args:
        runs: the runs of one folder, as `ecg_lib.runs.folder.read_runs` returns them.

    Returns:
        `(text, table, pairs)`: the Markdown, what `fold_table` returns, and what
        `comparison_table` returns.
    """
    table, pairs = _fold_table(runs), _comparison_table(runs)
    text = [_table_markdown(runs, table), _classes_markdown(table), _pairs_markdown(pairs)]
    return "\n".join(text), table, pairs


def _runs_by_model(runs):
    """`{name: {fold: Run}}`, the name being the run folder's without its fold; a fold is its number
    and the digest of its split, so that folds of other pages are other folds."""
    members = {}
    for run in runs:
        fold = run.record.config.fold, run.record.split_hash
        members.setdefault(re.sub(r"-f\d+$", "", run.folder.name), {})[fold] = run
    return members


def _parts(members):
    """A pair for each set of folds that some model has: the folds, and `{name: scored pages}` of
    all models that have them; the largest set comes first."""
    scored = {
        run.folder: score(run.predictions)
        for of_fold in members.values()
        for run in of_fold.values()
    }
    sets = {tuple(sorted(of_fold)) for of_fold in members.values()}
    parts = []
    for folds in sorted(sets, key=lambda folds: (-len(folds), folds)):
        models = {
            name: pd.concat([scored[of_fold[fold].folder] for fold in folds], ignore_index=True)
            for name, of_fold in members.items()
            if set(folds) <= set(of_fold)
        }
        models |= {
            _mean_of(seeds): mean_of_models([models[name] for name in seeds])
            for seeds in _several_seeds({name: members[name] for name in models})
        }
        joined = _ensemble_members({name: members[name] for name in models if name in members})
        if len(joined) > 1:
            models[ENSEMBLE] = mean_of_models([models[name] for name in joined])
        parts.append((folds, models))
    return parts


def _several_seeds(members):
    """Lists of the names whose runs differ by their seed alone, where there are several."""
    alike = {}
    for name, of_fold in members.items():
        record = _record(of_fold)
        if not record.members:
            config = replace(record.config, seed=0, fold=0)
            alike.setdefault(config, []).append(name)
    return [names for names in alike.values() if len(names) > 1]


def _mean_of(seeds):
    """The name of their mean: "cnn_2d-s1+2" of "cnn_2d-s1" and "cnn_2d-s2"."""
    first, *others = seeds
    return "+".join([first, *(name.rpartition("-s")[2] for name in others)])


def _members_of(name):
    """The names that `_mean_of` joined."""
    base, _, seeds = name.rpartition("-s")
    return [f"{base}-s{seed}" for seed in seeds.split("+")]


def _one_seed_each(models):
    chosen = {}
    for name in models:
        chosen.setdefault(re.sub(r"-s\d+$", "", name), name)
    return {name: models[name] for name in chosen.values()}


def _ensemble_members(members):
    """One run per published network, as published but for the protocol, at its first seed."""
    chosen = {}
    for name, of_fold in members.items():
        record = _record(of_fold)
        config = record.config
        if config.model in PUBLISHED and not _variant(config) and not record.members:
            chosen.setdefault(config.model, name)
    return list(chosen.values())


def _record(of_fold):
    return next(iter(of_fold.values())).record


def _describe(name, members, folds):
    if name == ENSEMBLE:
        return {"model": "Ensemble (mean probability)", "run": ENSEMBLE}
    joined = [name] if name in members else _members_of(name)
    records = [members[member][fold].record for member in joined for fold in folds]
    config = records[0].config
    seeds = [seed for member in joined for seed in _record(members[member]).seeds]
    words = [MODEL_NAMES[config.model], *_variant(config), *words_for_mean(seeds)]
    return {
        "model": ", ".join(words),
        "run": name,
        "epochs": max(record.epochs_done for record in records),
        "seed": "+".join(map(str, seeds)),
        "device": " + ".join(sorted({name for record in records for name in record.devices})),
        "minutes": sum(record.wall_seconds for record in records) / 60,
    }


def _variant(config):
    """What differs in a run's config from the published experiment, in words."""
    size = config.size_text
    return variant(config) + ([size] if size != RunConfig().size_text else [])


def variant(config: RunConfig) -> list[str]:
    """Return what differs in a run's config, in words, but for the size of its crops.

    Returns:
        A list of words, empty if there is nothing else.
    """
    recipe = config.recipe
    return [
        words
        for words, applies in (
            (recipe, recipe != RunConfig.recipe),
            ("only ink", config.ink_only),
            ("with recordings as teachers", bool(config.teachers)),
            (MIXED_PRECISION, config.mixed_precision),
        )
        if applies
    ]


def _figures(scored):
    found = {"pages": len(scored)} | figures_in_a_row(scored)
    for suffix, prefix in (
        ("", PROBABILITY),
        ("_calibrated", CALIBRATED),
    ):
        found[f"ece{suffix}"] = expected_calibration_error(scored, prefix)
        found[f"brier{suffix}"] = brier_score(scored, prefix)
    return found


def _table_markdown(runs, table):
    shown = pd.DataFrame(
        {
            "folds": table["folds"],
            "model": table["model"],
            "seed": table["seed"],
            "epochs": _whole(table["epochs"]),
            "pages": table["pages"].map("{:,}".format),
            **{title: intervals_in_a_table(table, name) for name, title in _SHOWN.items()},
            "ECE, calibrated": _before_after(table, "ece"),
            "Brier, calibrated": _before_after(table, "brier"),
            "minutes": table["minutes"].map("{:.0f}".format, na_action="ignore"),
            "device": table["device"].map(plain, na_action="ignore"),
        }
    )
    return f"{markdown(ours_below(shown))}\n{_caption(runs[0].record)}\n"


def _caption(record):
    protocol = record.config.protocol
    return (
        f"Data: {plain(record.data)}. Protocol: {protocol} ({PROTOCOLS[protocol].description}). "
        f"Test pages only, each tested once; the rows of the same folds are on the same pages. "
        f"In brackets: {_PERCENT} % intervals, bootstrap over exams ({RESAMPLES:,} "
        f"resamples). Balanced accuracy is the mean sensitivity of the classes; AUROC is one class "
        f"against the rest, mean over the classes. ECE (expected calibration error) and Brier "
        f"score (0 to 2): as trained, then with a temperature fitted on each fold's validation "
        f"pages, before any mean is taken. Epochs are those trained in each fold; the weights of "
        f"the best validation epoch count. Minutes are over all folds. Computed from each run's "
        f"{PREDICTIONS}."
    )


def _classes_markdown(table):
    names = [name for name in CLASS_NAMES if f"sensitivity_{name}" in table]
    shown = {"folds": table["folds"], "model": table["model"], "seed": table["seed"]}
    for name in names:
        shown[CLASS_NAMES[name]] = [
            f"{row[f'sensitivity_{name}']:.2f} ({row[f'sensitivity_{name}_low']:.2f} to "
            f"{row[f'sensitivity_{name}_high']:.2f}), {row[f'specificity_{name}']:.2f}"
            for _, row in table.iterrows()
        ]
    shown = ours_below(pd.DataFrame(shown))
    return f"Sensitivity with its interval, and specificity:\n\n{markdown(shown)}"


def _pairs_markdown(pairs):
    """One square of p-values for each set of folds."""
    text = [
        "p of an exact paired test between each two models, each exam as a whole (where all exams "
        "have one page, that is McNemar's test), after Holm's correction:\n"
    ]
    for folds, of_folds in pairs.groupby("folds", sort=False):
        names = list(dict.fromkeys([*of_folds["model"], *of_folds["other"]]))
        square = pd.DataFrame("", index=names, columns=names)
        for pair in of_folds.itertuples():
            square.loc[pair.other, pair.model] = f"{pair.p_holm:.2g}"
        square = square.iloc[1:, :-1].rename(index=lambda name: name.replace("_", " "))
        text.append(markdown(square.reset_index(names=_in_words(folds))))
    return "\n".join(text)


def _before_after(table, name):
    pairs = table[[name, f"{name}_calibrated"]].to_numpy()
    return [f"{before:.3f}, {after:.3f}" for before, after in pairs]


def _whole(numbers):
    return numbers.map("{:.0f}".format, na_action="ignore")


def _numbers(folds):
    """The numbers of folds as text, see `_range`."""
    return _range([number for number, _ in folds])


def _range(folds):
    """Such as "0 to 4", "0", or "0, 2"."""
    if len(folds) > 1 and np.all(np.diff(folds) == 1):
        return f"{folds[0]} to {folds[-1]}"
    return ", ".join(map(str, folds))


def _in_words(folds):
    """Such as "folds 0 to 4" or "fold 0", of what `_range` gave."""
    return f"fold{'s' * (len(folds) > 1)} {folds}"
