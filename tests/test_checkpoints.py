"""Checkpoints: what they hold, which are kept, and how damaged ones are treated.

No model is trained here: an epoch adds 1 to all that a state consists of.
"""

import errno
import shutil

import keras
import numpy as np
import pytest

from ecg_lib.errors import InputError
from ecg_lib.runs.folder import BACKUP, HISTORY, read_history
from ecg_lib.training.checkpoints import COLUMNS, Checkpoints


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
    """Train, or resume, with one epoch per validation loss; return the checkpoints."""
    set_state(model, 0)
    checkpoints = Checkpoints(folder, keep_best)
    checkpoints.set_model(model)
    for epoch in range(checkpoints.restore(model), len(losses)):
        assert epochs_in(model) == epoch
        set_state(model, epoch + 1)
        logs = dict.fromkeys(COLUMNS - {"epoch"}, 1 / 3)
        checkpoints.on_epoch_end(epoch, logs | {"val_loss": losses[epoch]})
    return checkpoints


def restored(folder, model, keep_best=False):
    """Return the number of epochs after which training would resume."""
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
    assert list(history) == ["epoch", *sorted(COLUMNS - {"epoch"})]
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


def test_nothing_to_resume_from(tmp_path, model, caplog):
    assert restored(tmp_path, model) == 0
    assert not caplog.messages


def test_a_copied_folder_is_resumed(tmp_path, model):
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


def encrypted(path):
    """Set the bit of the first entry that says it is encrypted, in the archive's directory."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def compressed_by_nobody(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)


def name_an_array_as_another(path):
    content = bytearray(path.read_bytes())
    content[content.rindex(b"arr_8.npy") + 4] = ord("9")
    path.write_bytes(content)


def a_folder(path):
    path.unlink()
    path.mkdir()
    (path / "file").touch()


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        change_a_weight,
        empty,
        of_another_model,
        encrypted,
        compressed_by_nobody,
        name_an_array_as_another,
        a_folder,
    ],
)
def test_damaged_state_is_named_and_the_one_before_taken(tmp_path, model, caplog, damage):
    train(tmp_path, model, [3, 2, 1])
    damage(tmp_path / BACKUP / "after_epoch_3.npz")
    assert restored(tmp_path, model) == 2
    (line,) = caplog.messages
    assert "after_epoch_3.npz is damaged and left out: " in line
    assert list(train(tmp_path, model, [3, 2, 1]).history["val_loss"]) == [3, 2, 1]


def test_a_folder_among_the_states_is_removed_with_them(tmp_path, model):
    train(tmp_path, model, [3, 2])
    a_folder(tmp_path / BACKUP / "after_epoch_1.npz")
    train(tmp_path, model, [3, 2, 1])
    assert saved(tmp_path) == {"after_epoch_2.npz", "after_epoch_3.npz"}


def test_both_states_damaged(tmp_path, model, caplog):
    train(tmp_path, model, [3, 2, 1])
    for number in (2, 3):
        empty(tmp_path / BACKUP / f"after_epoch_{number}.npz")
    assert restored(tmp_path, model) == 0
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("lose", [empty, lambda path: path.unlink()])
def test_without_the_best_state_nothing_after_it_counts(tmp_path, model, lose):
    train(tmp_path, model, [3, 1, 2, 2], keep_best=True)
    lose(tmp_path / BACKUP / "after_epoch_2.npz")
    assert restored(tmp_path, model, keep_best=True) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0",
        b"epoch,val_loss\n0,3\n1,2\n",
        b"other\n1\n",
        b'"open\n',
        b"\xff\xfe",
        b"a,b\n1,2,3",
    ],
)
def test_after_a_damaged_history_training_starts_anew(tmp_path, model, caplog, content):
    train(tmp_path, model, [3, 2])
    (tmp_path / HISTORY).write_bytes(content)
    assert restored(tmp_path, model) == 0
    assert f"{HISTORY} is damaged: only its first 0 epochs are read" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: row.replace("2", "two"),
        lambda row: row.replace("1,", "7,", 1),
        lambda row: row.rpartition(",")[0],
        lambda row: row.rpartition(",")[0] + ",",
        lambda row: row + ",1",
    ],
)
def test_a_damaged_row_is_named_and_the_epoch_before_taken(tmp_path, model, caplog, damage):
    train(tmp_path, model, [3, 2])
    head, first, second = (tmp_path / HISTORY).read_text(encoding="utf-8").split()
    assert damage(second) != second
    (tmp_path / HISTORY).write_text("\n".join([head, first, damage(second)]), encoding="utf-8")
    assert restored(tmp_path, model) == 1
    assert f"{HISTORY} is damaged: only its first 1 epochs are read" in caplog.text
    assert list(train(tmp_path, model, [3, 2]).history["val_loss"]) == [3, 2]


def test_an_epoch_without_numbers_is_no_damage(tmp_path, model, caplog):
    train(tmp_path, model, [3, np.nan])
    assert restored(tmp_path, model) == 2
    assert not caplog.messages


@pytest.mark.parametrize(("name", "came"), [(HISTORY, "a folder"), (BACKUP, "a file")])
def test_what_lies_in_the_place_of_another_kind_is_refused(tmp_path, model, name, came):
    (tmp_path / name).mkdir() if name == HISTORY else (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"{name} is {came}: expected a"):
        restored(tmp_path, model)


@pytest.mark.parametrize("function", ["numpy.savez", "pandas.DataFrame.to_csv"])
def test_a_full_disk_is_named_and_leaves_what_was_done(tmp_path, model, monkeypatch, function):
    train(tmp_path, model, [3, 2])

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(function, fail)
        with pytest.raises(InputError, match=f"{tmp_path}/.* cannot be written: No space left"):
            train(tmp_path, model, [3, 2, 1])
    assert restored(tmp_path, model) == 2
    assert list(train(tmp_path, model, [3, 2, 1]).history["val_loss"]) == [3, 2, 1]


def test_half_written_files_do_not_count(tmp_path, model):
    train(tmp_path, model, [3, 2])
    (tmp_path / BACKUP / ".part-0123").write_bytes(b"PK")
    (tmp_path / ".part-4567").write_text("epo", encoding="utf-8")
    assert restored(tmp_path, model) == 2
    train(tmp_path, model, [3, 2, 1])
    # The first is removed with the folder, or by the next process that has it to itself.
    assert saved(tmp_path) == {".part-0123", "after_epoch_2.npz", "after_epoch_3.npz"}
    assert list(read_history(tmp_path)["val_loss"]) == [3, 2, 1]
