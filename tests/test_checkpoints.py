"""Checkpoints: what they hold, which are kept, and what is done about damaged ones.

No model is trained here: an epoch adds 1 to all that a state consists of.
"""

import shutil

import keras
import numpy as np
import pytest

from ecg_lib.runs.folder import BACKUP, HISTORY, read_history
from ecg_lib.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def model():
    """A network with dropout, moving statistics, and the optimiser of mixed precision."""
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    network.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adamax()), "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def set_state(model, value):
    for variable in [*model.variables, *model.optimizer.variables]:
        variable.assign(np.full(variable.shape, value, dtype=variable.dtype))


def epochs_in(model):
    """Number of epochs after which the model has the state that it has."""
    values = [variable.numpy() for variable in [*model.variables, *model.optimizer.variables]]
    assert len(values) > 10  # Dense, BatchNormalization, dropout's seed, iterations, slots.
    (number,) = {float(number) for value in values for number in value.ravel()}
    return number


def train(folder, model, losses, keep_best=False):
    """Train, or go on, until each validation loss has been an epoch's; return the checkpoints."""
    set_state(model, 0)
    checkpoints = Checkpoints(folder, keep_best)
    checkpoints.set_model(model)
    for epoch in range(checkpoints.restore(model), len(losses)):
        assert epochs_in(model) == epoch
        set_state(model, epoch + 1)
        checkpoints.on_epoch_end(epoch, {"val_loss": losses[epoch], "loss": 1 / 3})
    return checkpoints


def restored(folder, model, keep_best=False):
    """The number of epochs that training would go on after."""
    set_state(model, 0)
    done = Checkpoints(folder, keep_best).restore(model)
    assert epochs_in(model) == done
    return done


def saved(folder):
    return {path.name for path in (folder / BACKUP).iterdir()}


def test_history_is_the_same_with_and_without_interruptions(tmp_path, model):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    straight.mkdir()
    resumed.mkdir()
    losses = [0.1 + 0.2, 0.1, 0.7, 1 / 3, 0.9]
    train(straight, model, losses)
    for epochs in (1, 3, 3, 5):
        checkpoints = train(resumed, model, losses[:epochs])
        assert len(checkpoints.history) == checkpoints.epoch_kept == epochs
    assert (resumed / HISTORY).read_bytes() == (straight / HISTORY).read_bytes()
    history = read_history(resumed)
    assert list(history) == ["epoch", "loss", "val_loss"]
    assert list(history["epoch"]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("keep_best", "kept"), [(True, 2), (False, 5)])
def test_kept_weights_survive_interruptions(tmp_path, model, keep_best, kept):
    for epochs in (1, 2, 3, 5):
        checkpoints = train(tmp_path, model, [3, 1, 2, 1, 2][:epochs], keep_best)
    set_state(model, 0)
    checkpoints.restore_kept(model)
    assert checkpoints.epoch_kept == epochs_in(model) == kept


def test_only_what_is_needed_is_kept(tmp_path, model):
    train(tmp_path, model, [3, 1, 2, 2, 2], keep_best=True)
    assert saved(tmp_path) == {f"after_epoch_{number}.npz" for number in (2, 4, 5)}
    train(tmp_path, model, [3, 1, 2, 2, 2, 0, 0.5], keep_best=True)
    assert saved(tmp_path) == {f"after_epoch_{number}.npz" for number in (6, 7)}


def test_nothing_to_go_on_from(tmp_path, model, capsys):
    assert restored(tmp_path, model) == 0
    assert capsys.readouterr().out == ""


def test_a_copied_folder_goes_on(tmp_path, model):
    (tmp_path / "run").mkdir()
    train(tmp_path / "run", model, [1, 2])
    shutil.copytree(tmp_path / "run", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "run")
    assert restored(tmp_path / "copy", model) == 2


# --- Damaged files ---


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_weight(path):
    three, four = np.float32(3).tobytes(), np.float32(4).tobytes()
    path.write_bytes(path.read_bytes().replace(three, four, 1))


def empty(path):
    path.write_bytes(b"")


def of_another_model(path):
    with np.load(path) as file:
        values = list(file.values())
    np.savez(path, *values[:-1])


@pytest.mark.parametrize("damage", [cut, change_a_weight, empty, of_another_model])
def test_damaged_state_is_named_and_the_one_before_taken(tmp_path, model, capsys, damage):
    train(tmp_path, model, [3, 2, 1])
    damage(tmp_path / BACKUP / "after_epoch_3.npz")
    assert restored(tmp_path, model) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "after_epoch_3.npz is broken: going on without it" in line
    assert list(train(tmp_path, model, [3, 2, 1]).history["val_loss"]) == [3, 2, 1]


def test_both_states_damaged(tmp_path, model, capsys):
    train(tmp_path, model, [3, 2, 1])
    for number in (2, 3):
        empty(tmp_path / BACKUP / f"after_epoch_{number}.npz")
    assert restored(tmp_path, model) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("lose", [empty, lambda path: path.unlink()])
def test_without_the_best_state_nothing_after_it_counts(tmp_path, model, lose):
    train(tmp_path, model, [3, 1, 2, 2], keep_best=True)
    lose(tmp_path / BACKUP / "after_epoch_2.npz")
    assert restored(tmp_path, model, keep_best=True) == 0


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0", b"epoch,val_loss\n0,3\n2,1\n", b"other\n1\n", b'"open', b"\xff\xfe"]
)
def test_damaged_history_is_begun_anew(tmp_path, model, content):
    train(tmp_path, model, [3, 2])
    (tmp_path / HISTORY).write_bytes(content)
    assert restored(tmp_path, model) == 0


def test_half_written_files_do_not_count(tmp_path, model):
    train(tmp_path, model, [3, 2])
    (tmp_path / BACKUP / "after_epoch_3.npz.part").write_bytes(b"PK")
    (tmp_path / f"{HISTORY}.part").write_text("epo")
    assert restored(tmp_path, model) == 2
    train(tmp_path, model, [3, 2, 1])
    assert saved(tmp_path) == {"after_epoch_2.npz", "after_epoch_3.npz"}
    assert list(read_history(tmp_path)["val_loss"]) == [3, 2, 1]
