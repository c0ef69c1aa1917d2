"""Measure why our Attention-LSTM is more accurate than the published one.

    python -m benchmarks.lstm_deviations PAGES_FOLDER [--variants pytorch_weights ...]

PAGES_FOLDER holds the published pages. The published experiment used PyTorch, from which Keras
deviates in two places that concern an LSTM: the initial weights, and the bias. Each of `VARIANTS`
takes back one or both, and is trained under the protocol `published`. An interrupted training is
resumed, a finished one is not repeated. Then the table `lstm.md` is computed from the predictions
of all finished variants, beside our committed run and the published accuracies; `--variants`
without a name only writes the table. A training takes 12 minutes on one free core.
"""

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import pandas as pd

from ecg_lib.data.khan2021 import published_accuracies
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.files import write_text
from ecg_lib.models.attention_lstm import attention_lstm
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import holds_finished_run
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions, scored_parts
from ecg_lib.training.optimizers import Adamax
from ecg_lib.training.recipes import RECIPES
from ecg_lib.training.train import train

MODEL = "attention_lstm"
PROTOCOL = "published"
PARTS = ("test", "validation", "both")
OUR_RESULTS = Path("results")


def with_pytorch_weights(*args, **kwargs) -> keras.Model:
    """Build `attention_lstm` with initial weights that are drawn as PyTorch draws them.

    Those of a `Linear` layer are uniform within 1 / sqrt(inputs), its bias included; those of an
    `LSTM` within 1 / sqrt(units), and so is each of its two biases, of which only the sum counts.
    Keras draws Glorot-uniform kernels and an orthogonal recurrent kernel, and sets the biases to 0
    and that of the forget gate to 1.

    Reference:
        https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html and `torch.nn.Linear`.
    """
    model = attention_lstm(*args, **kwargs)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(_drawn(layer, weight.shape))
        if isinstance(layer, keras.layers.LSTM):
            layer.cell.bias.assign_add(_drawn(layer, layer.cell.bias.shape))
    return model


def _drawn(layer, shape):
    is_lstm = isinstance(layer, keras.layers.LSTM)
    limit = (layer.units if is_lstm else layer.weights[0].shape[0]) ** -0.5
    return keras.initializers.RandomUniform(-limit, limit)(shape)


class TwoBiasesAdamax(Adamax):
    """Adamax that treats the bias of the LSTM as the sum of two biases.

    PyTorch's LSTM adds two biases. Their gradients are equal, so both move by the same step, their
    sum by two steps, and the norm of all gradients counts theirs twice.
    """

    def _global_norm(self, gradients):
        twice = [
            gradient
            for gradient, variable in zip(gradients, self._trainable_variables, strict=True)
            if _is_lstm_bias(variable)
        ]
        return super()._global_norm([*gradients, *twice])

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        steps = 2 if _is_lstm_bias(self._trainable_variables[index]) else 1
        super().update_step(gradient, variable, steps * learning_rate)


def _is_lstm_bias(variable):
    return variable.path.endswith("lstm_cell/bias")


def _two_biases_adamax(*args) -> keras.optimizers.Optimizer:
    """Return the optimiser of the published recipe, with two biases."""
    usual = RECIPES[PROTOCOL].new_optimizer(*args)
    return TwoBiasesAdamax.from_config(usual.get_config())


@dataclass(frozen=True)
class Variant:
    """What is taken back: in words, the network's builder, and that of the optimiser."""

    title: str
    builder: Callable[..., keras.Model] = attention_lstm
    new_optimizer: Callable[..., keras.optimizers.Optimizer] = RECIPES[PROTOCOL].new_optimizer


VARIANTS = {
    "pytorch_weights": Variant("PyTorch's initial weights", with_pytorch_weights),
    "two_biases": Variant("two biases", new_optimizer=_two_biases_adamax),
    "both": Variant(
        "PyTorch's initial weights and two biases", with_pytorch_weights, _two_biases_adamax
    ),
}


def main() -> None:
    """Train the requested variants, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--prepared", default=RunConfig.prepared)
    parser.add_argument("--results", type=Path, default=Path("results/lstm"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in options.variants:
        config = config_of(name, options.results, options.pages_folder, options.prepared)
        train_variant(config, VARIANTS[name])
    text = table_markdown(deviations_table(options.results, OUR_RESULTS))
    write_text(options.results / "lstm.md", text)
    print(text)


def config_of(
    name: str,
    results: Path,
    pages_folder: str | Path = RunConfig.data,
    prepared: str = RunConfig.prepared,
) -> RunConfig:
    """Return the `RunConfig` of a variant, whose runs lie in a folder of its own."""
    return RunConfig(
        data=str(Path(pages_folder).absolute()),
        protocol=PROTOCOL,
        model=MODEL,
        prepared=str(Path(prepared).absolute()),
        results=str((results / name).absolute()),
    )


def train_variant(config: RunConfig, variant: Variant) -> None:
    """Train a variant, unless it is finished."""
    usual = RECIPES[config.recipe]
    recipe = replace(
        usual,
        new_optimizer=variant.new_optimizer,
        choice=f"{usual.choice}; here: {variant.title}",
    )
    train(config, open_inputs(config), variant.builder, recipe)


def deviations_table(results: Path, our_results: Path) -> pd.DataFrame:
    """Compute the accuracies of our run, of all finished variants, and of the original.

    Args:
        results: the folder of the variants.
        our_results: the folder of results that holds our run without a variant.

    Returns:
        DataFrame with one row per training: title, test, validation, both.
    """
    ours = replace(config_of("", our_results), results=str(our_results.absolute()))
    runs = {"Keras' initial weights, one bias": ours.run_path}
    runs |= {variant.title: config_of(name, results).run_path for name, variant in VARIANTS.items()}
    rows = [
        {"title": title} | _accuracies(run)
        for title, run in runs.items()
        if holds_finished_run(run)
    ]
    original = {part: published_accuracies()[MODEL][part] for part in PARTS}
    return pd.DataFrame([*rows, {"title": "the original"} | original])


def _accuracies(run):
    parts = scored_parts(read_predictions(run), PROTOCOL)
    return {part: accuracy(parts[part]) for part in PARTS}


def table_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, with its caption."""
    shown = table.rename(columns={"title": "Attention-LSTM with"})
    for part in PARTS:
        shown[part] = shown[part].map("{:.4f}".format)
    return (
        f"{markdown(shown)}\n"
        f"Data: khan2021. Protocol: {PROTOCOL}. Accuracy is the share of files whose highest logit "
        f'is their class; "both" is test and validation together. One training per row, seed '
        f"{RunConfig.seed}, {RunConfig.epochs} epochs. Computed from each run's {PREDICTIONS}.\n"
    )


if __name__ == "__main__":
    main()
