"""Measure what each part of Lead attention is worth, on validation pages only.

    python -m benchmarks.ablation PAGES_FOLDER [--variants no_attention ...] [--results FOLDER]

PAGES_FOLDER holds the published pages. Each of `VARIANTS` changes one thing of the network or of
its training, and is trained on `FOLDS` of the protocol `clean`. The test pages are removed first,
so that they cannot influence any choice. Finished trainings are not repeated. Then the table
`ablation.md` is computed from the predictions of all variants that are finished on all folds;
`--variants` without a name only writes the table. A training takes some minutes on two cores.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import pandas as pd
from sklearn.metrics import log_loss

from ecg_lib.evaluation.calibration import probabilities_of, score, scored_classes
from ecg_lib.evaluation.comparison import mean_of_models
from ecg_lib.evaluation.intervals import figures_in_a_row, intervals_in_a_table
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_text
from ecg_lib.models.layers import check_can_be_halved, standardised_crops
from ecg_lib.models.lead_attention import classify, describe, describe_leads, lead_attention
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import finished_runs, read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions
from ecg_lib.training.recipes import RECIPES
from ecg_lib.training.train import train

FOLDS = (0, 1)

EPOCHS = 40

SHOWN = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "sensitivity_myocardial_infarction": "sensitivity, infarction",
    "sensitivity_history_of_mi": "sensitivity, history of infarction",
}


def _builder(features_of: Callable[..., keras.KerasTensor]) -> Callable[..., keras.Model]:
    """Return a builder of Lead attention with other features before its dense layer.

    Args:
        features_of: function from the standardised crops, the filters and the units to features
            `(batch, values)`.

    Returns:
        A builder with the arguments of `lead_attention` and their defaults.
    """

    def build(
        input_shape: tuple[int, int, int],
        num_classes: int,
        *,
        mean: float = 0.0,
        variance: float = 1.0,
        **sizes,
    ) -> keras.Model:
        sizes = lead_attention.__kwdefaults__ | sizes
        check_can_be_halved(sizes["name"], input_shape, times=len(sizes["filters"]))
        crops, standardised = standardised_crops(input_shape, mean, variance)
        features = features_of(standardised, sizes["filters"], sizes["units"])
        outputs = classify(features, num_classes, sizes["dense_units"], sizes["dropout"])
        return keras.Model(crops, outputs, name=sizes["name"])

    return build


def _side_by_side(standardised, filters, units):
    """Describe the leads, and do not compare them."""
    leads = describe_leads(standardised, filters, units)
    return keras.layers.Flatten(name="flatten")(leads)


def _as_channels(standardised, filters, units):
    """Describe all leads at once, as channels of one image."""
    maps = keras.layers.Permute((2, 3, 1), name="leads_as_channels")(standardised)
    return describe(maps, filters, units)


no_attention = _builder(_side_by_side)
leads_as_channels = _builder(_as_channels)


@dataclass(frozen=True)
class Variant:
    """One change.

    Attributes:
        title: the change in words.
        builder: builder of the network; None for that of the config's model.
        recipe: fields of the recipe that are replaced.
        config: fields of the `RunConfig` that are replaced.
    """

    title: str
    builder: Callable[..., keras.Model] | None = None
    recipe: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)


VARIANTS = {
    "lead_attention": Variant("Lead attention"),
    "seed_2": Variant("seed 2", config={"seed": 2}),
    "seed_3": Variant("seed 3", config={"seed": 3}),
    "no_shared_encoder": Variant("no shared encoder: leads as channels", leads_as_channels),
    "no_attention": Variant("no attention between leads", no_attention),
    "no_augmentation": Variant("no augmentation", recipe={"augment": None}),
    "no_class_weights": Variant("no class weights", recipe={"balance": 0.0}),
    "epochs_80": Variant("80 epochs", config={"epochs": 80}),
    "crops_32px": Variant("crops of 32x32", config={"height": 32, "width": 32}),
    "crops_64x160px": Variant("crops of 64x160", config={"width": 160}),
    "cnn_2d": Variant("CNN 2D, trained like Lead attention", config={"model": "cnn_2d"}),
}
"""The variants by name. Each one changes the first."""

SEEDS = ("lead_attention", "seed_2", "seed_3")
"""The variants whose mean probability also has a row."""


def main() -> None:
    """Train the chosen variants, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--prepared", default=RunConfig.prepared)
    parser.add_argument("--results", type=Path, default=Path("results/ablation"))
    options = parser.parse_args()
    for name in options.variants:
        for fold in FOLDS:
            train_variant(
                config_of(name, fold, options.results, options.pages_folder, options.prepared),
                VARIANTS[name],
            )
    table = ablation_table(options.results)
    if table.empty:
        parser.error(
            f"{options.results} holds no variant that is finished on folds "
            f"{' and '.join(map(str, FOLDS))}: expected names of variants to train"
        )
    text = table_markdown(table)
    write_text(options.results / "ablation.md", text)
    print(text)


def config_of(
    name: str,
    fold: int,
    results: Path,
    pages_folder: str | Path = RunConfig.data,
    prepared: str = RunConfig.prepared,
) -> RunConfig:
    """Return the `RunConfig` of a variant on a fold."""
    changed = {"model": "lead_attention", "recipe": "augmented", "epochs": EPOCHS}
    return RunConfig(
        data=str(Path(pages_folder).absolute()),
        protocol="clean",
        fold=fold,
        prepared=str(prepared),
        results=str((results / name).absolute()),
        **changed | VARIANTS[name].config,
    )


def train_variant(config: RunConfig, variant: Variant) -> None:
    """Train a variant and predict its validation pages; the test pages are left out."""
    inputs = open_inputs(config)
    inputs = replace(inputs, splits=inputs.splits.where(inputs.splits != "test"))
    usual = RECIPES[config.recipe]
    recipe = replace(usual, choice=f"{usual.choice}; here: {variant.title}", **variant.recipe)
    train(config, inputs, variant.builder, recipe)


def ablation_table(results: Path) -> pd.DataFrame:
    """Compute the scores of all variants that are finished on every fold from their predictions.

    Returns:
        DataFrame with one row per variant, in the order of `VARIANTS`: title, parameters, epochs,
        seed, device, pages (those in the validation parts of several folds count in each),
        log_loss (mean negative log probability of the true class), and each figure of
        `figures` with its `_low` and `_high`.
    """
    folders = {
        name: finished_runs(config_of(name, FOLDS[0], results).table_path) for name in VARIANTS
    }
    finished = {name: of_folds for name, of_folds in folders.items() if len(of_folds) == len(FOLDS)}
    rows = [_row(VARIANTS[name].title, [of_folds]) for name, of_folds in finished.items()]
    if finished.keys() >= set(SEEDS):
        title = f"mean probability of the {len(SEEDS)} seeds"
        rows.insert(len(SEEDS), _row(title, [finished[name] for name in SEEDS]))
    return pd.DataFrame(rows)


def _row(title, members):
    """Compute a row of the table: of one variant, or of the mean of several.

    Args:
        title: what is changed.
        members: for each variant its run folders, one per fold.
    """
    scored = pd.concat(
        [mean_of_models(list(map(_scored, of_fold))) for of_fold in zip(*members, strict=True)],
        ignore_index=True,
    )
    records = [read_record(of_folds[0]) for of_folds in members]
    return {
        "title": title,
        "parameters": sum(record.trainable_parameters for record in records),
        "epochs": records[0].epochs_done,
        "seed": records[0].config.seed,
        "device": " + ".join(records[0].devices),
        "pages": len(scored),
        "log_loss": _log_loss(scored),
    } | figures_in_a_row(scored)


def _scored(run):
    return score(read_predictions(run), "validation")


def _log_loss(scored):
    """Compute the mean negative log probability of the true class."""
    classes = scored_classes(scored)
    places = scored["label"].map(classes.index)
    probabilities = probabilities_of(scored)
    return log_loss(places, probabilities, labels=range(len(classes)))


def table_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, with its caption."""
    shown = pd.DataFrame(
        {
            "variant": table["title"],
            "trainable parameters": table["parameters"].map("{:,}".format),
            "epochs": table["epochs"],
            "log loss": table["log_loss"].map("{:.3f}".format),
        }
    )
    for figure, title in SHOWN.items():
        shown[title] = intervals_in_a_table(table, figure)
    first = table.iloc[0]
    return (
        f"{markdown(shown)}\n"
        f"Data: khan2021. Protocol: clean, the {first['pages']} validation pages of folds "
        f"{' and '.join(map(str, FOLDS))}, those of both twice; no test page was predicted. Each "
        f"row changes one thing of the first: seed {first['seed']}, {first['device']}. The weights "
        f"of the epoch of least log loss count, which the same pages choose, so all figures are a "
        f"little too good, and alike so. In brackets: 95 % intervals, bootstrap over exams. "
        f"Computed from each run's {PREDICTIONS}.\n"
    )


if __name__ == "__main__":
    main()
