"""Training: the order of pages, the recipe, the run folder, and what interrupts leave."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import fit_answering
from ecg_lib.models import load
from ecg_lib.runs.config import LARGEST
from ecg_lib.runs.folder import (
    HISTORY,
    MODEL,
    RECORD,
    holds_finished_run,
    is_finished,
    read_history,
    read_record,
)
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import LOGIT, PREDICTIONS, read_predictions
from ecg_lib.training.augmentation import augment
from ecg_lib.training.batches import Examples, all_pages, batches, join, moments, page_order
from ecg_lib.training.recipes import RECIPES, class_weights
from ecg_lib.training.train import EpochSeconds, _check_learning, _check_numbers, train

# --- The order of the pages ---


@pytest.mark.parametrize("reshuffle", [True, False])
def test_each_round_holds_every_page_once(reshuffle):
    order = page_order(7, 7 * 4, seed=1, reshuffle=reshuffle)
    for number in range(4):
        assert sorted(order[7 * number : 7 * number + 7]) == list(range(7))


def test_a_last_round_may_be_cut_short():
    order = page_order(7, 24, seed=1, reshuffle=True)
    assert len(order) == 24
    counts = np.bincount(order, minlength=7)
    assert counts.max() - counts.min() == 1


def test_rounds_differ_only_where_they_are_reshuffled():
    fixed = page_order(50, 100, seed=1, reshuffle=False)
    assert list(fixed) == [*range(50), *range(50)]
    shuffled = page_order(50, 100, seed=1, reshuffle=True)
    assert list(shuffled[:50]) != list(shuffled[50:])
    np.testing.assert_array_equal(shuffled, page_order(50, 100, seed=1, reshuffle=True))
    assert list(shuffled) != list(page_order(50, 100, seed=2, reshuffle=True))


def test_a_longer_training_begins_with_the_shorter():
    longer = page_order(9, 64, seed=3, reshuffle=True)
    np.testing.assert_array_equal(longer[:40], page_order(9, 40, seed=3, reshuffle=True))


# --- What the models see ---


@pytest.fixture(scope="module")
def examples():
    crops = np.random.default_rng(0).integers(0, 256, (12, 13, 8, 8), dtype=np.uint8)
    return Examples(crops, np.arange(12) % 5)


def test_moments_are_those_of_the_given_rows(examples):
    rows = np.array([1, 4, 11])
    mean, variance = moments(examples.crops, rows)
    assert mean == pytest.approx(examples.crops[rows].mean())
    assert variance == pytest.approx(examples.crops[rows].var())


def test_batches_are_full_and_in_order(examples):
    order = np.array([4, 0, 1, 3, 2, 4, 0])
    found = list(batches(examples, order, 3))
    assert [len(pixels) for pixels, _ in found] == [3, 3]
    pixels, own = (np.concatenate(parts) for parts in zip(*found, strict=True))
    np.testing.assert_array_equal(pixels, examples.crops[order[:6]])
    np.testing.assert_array_equal(own, examples.labels[order[:6]])


def test_joined_examples_keep_their_weights(examples):
    weighted = examples._replace(weights=np.arange(12, dtype=np.float32))
    ((pixels, own, weights),) = batches(join([examples, weighted]), np.array([3, 15, 14]), 3)
    np.testing.assert_array_equal(pixels, examples.crops[[3, 3, 2]])
    np.testing.assert_array_equal(own, examples.labels[[3, 3, 2]])
    np.testing.assert_array_equal(weights, [1, 3, 2])
    assert join([examples, examples]).weights is None


def test_batches_that_were_trained_on_are_skipped(examples):
    order = page_order(12, 24, seed=1, reshuffle=True)
    every, later = (
        list(batches(examples, order, 4, augment=augment, seed=3, skip=skip)) for skip in (0, 2)
    )
    assert len(every) == 6
    for (pixels, own), (expected, expected_own) in zip(later, every[2:], strict=True):
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(own, expected_own)


def test_whole_takes_every_example_once(examples, monkeypatch):
    monkeypatch.setattr("ecg_lib.training.batches.PREDICT_BATCH", 8)
    found = list(all_pages(examples))
    assert [len(pixels) for pixels, *_ in found] == [8, 4]
    pixels, own, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    np.testing.assert_array_equal(pixels, examples.crops)
    np.testing.assert_array_equal(own, examples.labels)
    np.testing.assert_array_equal(weights, np.ones(12))


def test_whole_divides_among_replicas(examples):
    crops, labels = examples.crops[:5], examples.labels[:5]
    ((pixels, own, weights),) = all_pages(Examples(crops, labels), replicas=2)
    np.testing.assert_allclose(weights, [1.2, 1.2, 1.2, 1.2, 1.2, 0])
    np.testing.assert_array_equal(pixels, crops[[0, 1, 2, 3, 4, 0]])
    np.testing.assert_array_equal(own, labels[[0, 1, 2, 3, 4, 0]])


# --- A whole run ---

FILES = {RECORD, HISTORY, PREDICTIONS, MODEL}


@pytest.fixture
def run(configure):
    """A function that trains with the given options; returns the run folder."""

    def train_with(**options):
        config = replace(configure(), **options)
        return train(config, open_inputs(config))

    return train_with


def record_of(folder):
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))


def test_run_folder_is_complete_and_true(finished_run):
    folder = finished_run.run_path
    inputs = open_inputs(finished_run)
    assert {path.name for path in folder.iterdir()} == FILES

    predictions = read_predictions(folder)
    splits, pages = inputs.splits, inputs.prepared.pages
    scored = splits.index[splits != "train"]
    assert list(predictions["file"]) == list(pages.loc[scored, "file"])
    assert list(predictions["split"]) == list(splits[scored])
    assert list(predictions["label"]) == list(pages.loc[scored, "class"])
    model = load(folder / MODEL)
    logits = model.predict(np.array(inputs.prepared.crops[scored]), verbose=0)
    columns = [name for name in predictions if name.startswith(LOGIT)]
    np.testing.assert_allclose(predictions[columns], logits, rtol=1e-4, atol=1e-5)

    record = record_of(folder)
    assert read_record(folder).key == inputs.run_key
    assert read_record(folder).answering == fit_answering(predictions)
    assert record["pages"] == {"train": 15, "validation": 5, "test": 5}
    assert record["recipe"] == RECIPES["published"].choice
    assert record["resumed"] is False
    assert record["epochs_done"] == record["epoch_kept"] == 2
    assert (record["replicas"], record["batch_per_replica"]) == (1, 4)
    assert record["trainable_parameters"] == 497
    assert record["libraries"]["keras"] == keras.__version__
    assert list(read_history(folder)["epoch"]) == [0, 1]


def test_classes_count_as_the_recipe_says(run, monkeypatch):
    given = []

    def noted(examples, *args, **options):
        given.append(examples.weights)
        return batches(examples, *args, **options)

    monkeypatch.setattr("ecg_lib.training.train.batches", noted)
    for recipe in RECIPES:
        run(epochs=1, recipe=recipe)
    evenly = class_weights(np.repeat(np.arange(5), 3), RECIPES["augmented"].balance)
    assert given[0] is None
    np.testing.assert_array_equal(given[1], evenly)
    np.testing.assert_array_equal(given[2], np.tile(evenly, 3))


def test_what_is_finished_is_not_trained_again(finished_run, monkeypatch):
    folder = finished_run.run_path
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("ecg_lib.training.train._train", None)
    assert train(finished_run, open_inputs(finished_run)) == folder
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.fixture
def copy_of_run(finished_run, configure):
    """The finished run's folder, where `run` would train the same."""
    return Path(shutil.copytree(finished_run.run_path, configure().run_path))


def test_a_run_of_another_config_is_kept_beside(copy_of_run, run):
    old = (copy_of_run / RECORD).read_bytes()
    assert run(epochs=1) == copy_of_run
    assert record_of(copy_of_run)["epochs_done"] == 1
    kept = copy_of_run.with_name(f"{copy_of_run.name}~1")
    assert (kept / RECORD).read_bytes() == old
    assert {path.name for path in kept.iterdir()} == FILES


@pytest.mark.parametrize("name", [MODEL, PREDICTIONS])
def test_damaged_results_are_not_taken_for_finished(copy_of_run, configure, name):
    identity = open_inputs(configure()).run_key
    assert is_finished(copy_of_run, identity)
    (copy_of_run / name).write_bytes(b"")
    assert not is_finished(copy_of_run, identity)
    (copy_of_run / name).unlink()
    assert not is_finished(copy_of_run, identity)


@pytest.mark.parametrize("epochs", [1, 2])
def test_nan_is_refused_every_time(run, configure, epochs, monkeypatch):
    monkeypatch.setitem(LARGEST, "learning_rate", np.inf)
    for _ in range(epochs):
        with pytest.raises(InputError, match=r"in epoch 1: expected a smaller learning_rate"):
            run(epochs=epochs, learning_rate=1e30)
    assert not holds_finished_run(configure().run_path)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_not_finite_is_refused(configure, tmp_path, name, loss):
    history = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, 1.0], "val_loss": [1.0, 1.0]})
    _check_numbers(configure(), history, tmp_path)
    history.loc[1, name] = loss
    with pytest.raises(InputError, match=r"NaN or infinity in epoch 2: expected a smaller"):
        _check_numbers(configure(), history, tmp_path)


@pytest.mark.parametrize(("loss", "warned"), [(1.5, False), (1.7, True), (1e29, True)])
def test_a_training_no_better_than_a_guess_says_so(configure, caplog, loss, warned):
    history = pd.DataFrame({"loss": [9.0, loss]})
    _check_learning(configure(learning_rate=5.0), history, guess=np.log(5))
    said = "nothing was learnt: the training loss is" in caplog.text
    assert said == warned
    assert ("that of a guess 1.61; expected another learning_rate than 5" in caplog.text) == warned


def interrupt_in_epoch(number, monkeypatch):
    """Let training be interrupted in the middle of an epoch, counted from 0."""

    def stop(callback, batch, logs=None):
        before = number * callback.params["steps"]
        if callback.model.optimizer.iterations == before + 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(EpochSeconds, "on_train_batch_end", stop)


def test_an_interrupted_training_ends_like_one_that_was_not(run, tmp_path, monkeypatch):
    straight = run(epochs=3, results=str(tmp_path / "straight"))
    with monkeypatch.context() as patch:
        interrupt_in_epoch(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(epochs=3)
    folder = run(epochs=3)
    record = record_of(folder)
    assert record["resumed"] is True
    assert record["resumed_after"] == [2]
    assert record["epochs_done"] == 3
    assert {path.name for path in folder.iterdir()} == FILES
    history, other = read_history(folder), read_history(straight)
    assert list(history["epoch"]) == [0, 1, 2]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], other[name], rtol=1e-4)
    for weight, expected in zip(
        load(folder / MODEL).get_weights(),
        load(straight / MODEL).get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5)


def test_interrupted_before_the_first_epoch_was_done(run, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(0, patch)
        with pytest.raises(KeyboardInterrupt):
            run(epochs=1)
    record = record_of(run(epochs=1))
    assert record["resumed"] is False
    assert "resumed_after" not in record


def test_batch_must_divide_among_the_devices(run, monkeypatch):
    class TwoReplicas:
        num_replicas_in_sync = 2

    monkeypatch.setattr("ecg_lib.training.train.choose_strategy", lambda name: TwoReplicas())
    with pytest.raises(InputError, match="batch_size 5 does not divide among 2 devices"):
        run(batch_size=5)


def test_one_class_alone_is_not_trained_on(configure, pages_folder):
    config = configure(data=str(pages_folder / "normal"))
    with pytest.raises(InputError, match="normal holds pages of one class only, normal: expected"):
        train(config, open_inputs(config))


def test_unwritable_results(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: "):
        run(results=str(tmp_path / "file"))
