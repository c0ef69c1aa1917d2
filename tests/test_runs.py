"""Run folders."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import change_record
from full_disk import FullDisk

from ecg_lib.errors import InputError
from ecg_lib.models import build
from ecg_lib.runs.folder import (
    BACKUP,
    MODEL,
    describe,
    finish_run,
    finished_runs,
    folders_of_runs,
    is_finished,
    note_resumed,
    open_run,
    read_runs,
    remove_backup,
)
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions
from ecg_lib.runs.record import (
    RECORD,
    RecordedConfig,
    RunKey,
    StartedRun,
    read_any_record,
    read_record,
)
from ecg_lib.training.checkpoints import Checkpoints


def test_runs_put_aside_or_unfinished_do_not_count(folder, run):
    shutil.copytree(run, run.with_name(f"{run.name}~1"))
    unfinished = run.with_name("cnn_2d-s1")
    open_run(unfinished, key_of())
    (folder / "broken").mkdir()
    (folder / "broken" / RECORD).write_text('{"config"', encoding="utf-8")
    assert finished_runs(folder) == [run]
    with pytest.raises(InputError, match="holds no finished run"):
        read_record(unfinished)


def test_folders_of_runs(folder, tmp_path):
    assert folders_of_runs(tmp_path / "results") == [folder]


def test_description_names_the_run(run):
    text = describe(run)
    assert str(run) in text and "drawn, plain" in text and "epochs: 2" in text


# --- Interrupted runs ---


def key_of(**options):
    return RunKey(RecordedConfig(**options), "data", "split")


def test_open_run_numbers_what_it_puts_aside(tmp_path):
    for epochs in (1, 2, 3):
        open_run(tmp_path / "run", key_of(epochs=epochs))
        open_run(tmp_path / "run", key_of(epochs=epochs))
    epochs = {path.name: read_any_record(path).config.epochs for path in tmp_path.iterdir()}
    assert epochs == {"run~1": 1, "run~2": 2, "run": 3}


def test_a_record_older_than_an_option_counts_with_its_default(finished_run, configure):
    older = json.loads((finished_run.run_path / RECORD).read_text(encoding="utf-8"))
    del older["config"]["mixed_precision"]
    folder = Path(shutil.copytree(finished_run.run_path, configure().run_path))
    (folder / RECORD).write_text(json.dumps(older), encoding="utf-8")
    assert is_finished(folder, open_inputs(configure()).run_key)
    assert not is_finished(folder, open_inputs(configure(mixed_precision=True)).run_key)
    del older["predictions_sha256"]  # Interrupted, it is resumed.
    (folder / RECORD).write_text(json.dumps(older), encoding="utf-8")
    open_run(folder, open_inputs(configure()).run_key)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_record_says_after_which_epochs_a_run_was_resumed(tmp_path):
    folder = tmp_path / "run"
    for epoch in (2, 2, 5):
        open_run(folder, key_of())
        note_resumed(folder, epoch)
    facts = {"data": "drawn", "classes": ("normal",), "pages": {}, "epochs_done": 5}
    facts |= {"resumed": True, "wall_seconds": 1.5, "devices": (), "parameters": 0}
    (folder / PREDICTIONS).touch()
    finish_run(folder, key_of(), **facts)
    assert read_record(folder).resumed_after == (2, 2, 5)


def test_a_backup_that_stays_is_named_and_removed_the_next_time(tmp_path, caplog):
    backup = tmp_path / BACKUP
    backup.mkdir()
    (backup / "after_epoch_1.npz").touch()
    with FullDisk(tmp_path, 0).inserted():
        remove_backup(tmp_path)
    assert f"{backup} is not needed any more but cannot be removed: No space" in caplog.text
    remove_backup(tmp_path)
    assert list(tmp_path.iterdir()) == []
    remove_backup(tmp_path)
    assert len(caplog.records) == 1


def test_a_finished_run_without_its_weights_is_kept_beside(finished_run, configure, caplog):
    """So lie the published runs in `results`: what is trained there anew may be interrupted."""
    folder = Path(shutil.copytree(finished_run.run_path, configure().run_path))
    (folder / MODEL).unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run_key = open_inputs(configure()).run_key
    open_run(folder, run_key)
    assert read_any_record(folder) == StartedRun(**vars(run_key))
    kept = folder.with_name(f"{folder.name}~1")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert f"is kept as {kept.name}, out of the table" in caplog.text


def test_what_a_run_without_a_record_left_is_not_resumed(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_best=False)
    model = build("testing", (13, 16, 16))
    model.compile("sgd", "mse")
    checkpoints.set_model(model)
    names = ("loss", "val_loss", "accuracy", "val_accuracy", "seconds")
    checkpoints.on_epoch_end(0, dict.fromkeys(names, 1.0))
    assert Checkpoints(tmp_path, keep_best=False).restore(model) == 1
    open_run(tmp_path, key_of(epochs=9))
    assert Checkpoints(tmp_path, keep_best=False).restore(model) == 0


@pytest.mark.parametrize("content", ["", '{"config": 1', "[]", "null", "\0\0", '{"config": []}'])
def test_broken_record_is_put_aside(tmp_path, content):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / RECORD).write_text(content, encoding="utf-8")
    assert not is_finished(folder, key_of())
    open_run(folder, key_of())
    assert read_any_record(folder).key == key_of()
    assert (tmp_path / "run~1" / RECORD).read_text(encoding="utf-8") == content


# --- Runs that cannot be used ---


def test_a_run_that_cannot_be_used_is_named_and_the_others_stand(folder, run, caplog):
    other, cut = (shutil.copytree(run, run.with_name(name)) for name in ("other", "cut"))
    change_record(other, epochs_done="many")
    (cut / PREDICTIONS).write_bytes((cut / PREDICTIONS).read_bytes()[:-20])
    assert [found.folder for found in read_runs(folder)] == [run]
    assert f"{other} is left out: {other / RECORD}: epochs_done is 'many'" in caplog.text
    assert f"{cut} is left out: {cut / PREDICTIONS} is not the file" in caplog.text
    with pytest.raises(InputError, match="epochs_done is 'many': expected a whole number"):
        read_record(other)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("logit_normal", "", "row 3: logit_normal is nan: expected a finite number"),
        ("logit_normal", "nan", r"row 3: logit_normal is nan: expected a finite number"),
        ("logit_normal", "-inf", r"row 3: logit_normal is -inf: expected a finite number"),
        ("label", "flu", "row 3: label is flu: expected one of normal"),
        ("split", "train", "row 3: split is train: expected one of validation, test"),
    ],
)
def test_predictions_that_cannot_be_used_are_refused(run, column, value, fault):
    table = pd.read_csv(run / PREDICTIONS, dtype=str)
    table.loc[2, column] = value
    table.to_csv(run / PREDICTIONS, index=False)
    change_record(run)
    with pytest.raises(InputError, match=fault) as refused:
        read_predictions(run)
    assert str(run / PREDICTIONS) in str(refused.value)


def test_predictions_with_other_columns_are_refused(run):
    table = pd.read_csv(run / PREDICTIONS, dtype=str)
    for other in (table.drop(columns="page_id"), table.iloc[:, ::-1]):
        other.to_csv(run / PREDICTIONS, index=False)
        change_record(run)
        with pytest.raises(InputError, match=r"has the columns .*: expected file, page_id"):
            read_predictions(run)
    (run / PREDICTIONS).write_text("file\n1,2,3\n1\n", encoding="utf-8")
    change_record(run)
    with pytest.raises(InputError, match=r"predictions\.csv"):
        read_predictions(run)
