"""The variants of Attention-LSTM begin and step as PyTorch does."""

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from benchmarks import lstm_deviations
from benchmarks.lstm_deviations import VARIANTS, deviations_table, with_pytorch_weights
from ecg_lib.models.attention_lstm import attention_lstm
from ecg_lib.training.optimizers import Adamax

SHAPE = (13, 4, 16)


def test_initial_weights_are_drawn_as_pytorch_draws_them():
    keras.utils.set_random_seed(3)
    model = with_pytorch_weights(SHAPE, 5)
    kernel, recurrent_kernel, bias = model.get_layer("lstm").get_weights()
    limit = 128**-0.5
    for weights in (kernel, recurrent_kernel, model.get_layer("attention").get_weights()[0]):
        assert 0.95 * limit < np.abs(weights).max() < limit
        assert weights.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    # The sum of two uniform values, the same for all gates.
    assert bias.std() == pytest.approx(limit * (2 / 3) ** 0.5, rel=0.1)
    assert np.abs(bias.reshape(4, -1).mean(axis=1)).max() < limit / 4
    (summary,) = model.get_layer("summary").get_weights()
    assert 0.95 * 256**-0.5 < np.abs(summary).max() < 256**-0.5
    assert np.abs(model.get_layer("logits").get_weights()[1]).max() > 0


@pytest.mark.parametrize("clipnorm", [1e6, 0.01])
def test_the_bias_steps_as_the_sum_of_two_equal_ones(clipnorm):
    model = attention_lstm(SHAPE, 5, units=4)
    paths = [variable.path for variable in model.trainable_variables]
    gradients = [
        np.full(variable.shape, number, "float32")
        for number, variable in enumerate(model.trainable_variables, start=1)
    ]
    steps = []
    for new_optimizer in (Adamax, lstm_deviations.TwoBiasesAdamax):
        # A large epsilon, so that a step depends on how far the gradients were scaled down.
        optimizer = new_optimizer(0.1, epsilon=1.0, global_clipnorm=clipnorm)
        before = [variable.numpy() for variable in model.trainable_variables]
        optimizer.apply(gradients, model.trainable_variables)
        after = [variable.numpy() for variable in model.trainable_variables]
        steps.append([new - old for old, new in zip(before, after, strict=True)])
    squares = [float(np.sum(gradient**2)) for gradient in gradients]
    of_bias = squares[paths.index("lstm/lstm_cell/bias")]
    for path, gradient, one, two in zip(paths, gradients, *steps, strict=True):
        factor = 2 if path == "lstm/lstm_cell/bias" else 1
        for step, norm, times in (
            (one, sum(squares) ** 0.5, 1),
            (two, (sum(squares) + of_bias) ** 0.5, factor),
        ):
            clipped = gradient * min(1, clipnorm / norm)
            expected = -0.1 * times * clipped / (np.abs(clipped) + 1.0)
            np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-7)


def test_each_variant_trains_what_it_says(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(lstm_deviations, "train", lambda *arguments: trained.append(arguments))
    monkeypatch.setattr(lstm_deviations, "open_inputs", lambda config: None)
    for name, variant in VARIANTS.items():
        lstm_deviations.train_variant(lstm_deviations.config_of(name, tmp_path), variant)
    for name, (config, _, builder, recipe) in zip(VARIANTS, trained, strict=True):
        assert (config.protocol, config.model) == ("published", "attention_lstm")
        assert config.results_path == tmp_path / name
        assert (builder is with_pytorch_weights) == (name != "two_biases")
        optimizer = recipe.new_optimizer(0.001, 10, 20)
        assert type(optimizer) is (
            Adamax if name == "pytorch_weights" else lstm_deviations.TwoBiasesAdamax
        )
        assert (optimizer.epsilon, optimizer.global_clipnorm) == (1e-8, 10)
        assert float(optimizer.learning_rate) == pytest.approx(0.001)
        assert recipe.choice.endswith(VARIANTS[name].title)


def test_our_run_and_the_original_frame_the_table(tmp_path):
    table = deviations_table(tmp_path, ROOT / "results").set_index("title")
    assert list(table.index) == ["Keras' initial weights, one bias", "the original"]
    accuracies = pd.read_csv(ROOT / "results/khan2021/published/accuracy.csv").set_index("model")
    ours = accuracies.loc["Attention-LSTM", list(lstm_deviations.PARTS)].astype(float)
    np.testing.assert_allclose(table.iloc[0].astype(float), ours, atol=5e-5)
    assert table.loc["the original", "both"] == 0.8873


def test_the_committed_table_follows_from_the_committed_predictions():
    results = ROOT / "results" / "lstm"
    table = deviations_table(results, ROOT / "results")
    text = (results / "lstm.md").read_text(encoding="utf-8")
    assert text == lstm_deviations.table_markdown(table)
