"""Run folders."""

import json
import shutil
from pathlib import Path

import pytest

from ecg_lib.errors import InputError
from ecg_lib.files import code_version
from ecg_lib.models import build
from ecg_lib.runs.folder import (
    MODEL,
    RECORD,
    describe,
    finished_runs,
    folders_of_runs,
    is_finished,
    note_resumed,
    only_process_in,
    open_run,
    read_record,
    write_record,
)
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.training.checkpoints import Checkpoints


def test_runs_put_aside_or_unfinished_do_not_count(folder, run):
    shutil.copytree(run, run.with_name(f"{run.name}~1"))
    unfinished = run.with_name("cnn_2d-s1")
    unfinished.mkdir()
    (unfinished / RECORD).write_text('{"config": {"model": "cnn_2d"}}')
    (folder / "broken").mkdir()
    (folder / "broken" / RECORD).write_text('{"config"')
    assert finished_runs(folder) == [run]
    with pytest.raises(InputError, match="holds no finished run"):
        read_record(unfinished)


def test_folders_of_runs(folder, tmp_path):
    assert folders_of_runs(tmp_path / "results") == [folder]


def test_description_names_the_run(run):
    text = describe(run)
    assert str(run) in text and "drawn, plain" in text and "epochs: 2" in text


# --- Interrupted runs ---


def test_open_run_numbers_what_it_puts_aside(tmp_path):
    for number in range(3):
        open_run(tmp_path / "run", {"config": {"epochs": number}})
        open_run(tmp_path / "run", {"config": {"epochs": number}})
    names = {path.name: json.loads((path / RECORD).read_text()) for path in tmp_path.iterdir()}
    epochs = {name: record["config"]["epochs"] for name, record in names.items()}
    assert epochs == {"run~1": 0, "run~2": 1, "run": 2}


def test_a_record_older_than_a_knob_counts_with_its_default(finished_run, configure):
    older = json.loads((finished_run.run_path / RECORD).read_text())
    del older["config"]["mixed_precision"]
    folder = Path(shutil.copytree(finished_run.run_path, configure().run_path))
    (folder / RECORD).write_text(json.dumps(older))
    assert is_finished(folder, open_inputs(configure()).run_key)
    assert not is_finished(folder, open_inputs(configure(mixed_precision=True)).run_key)
    del older["metrics"]  # Interrupted, it is gone on with.
    (folder / RECORD).write_text(json.dumps(older))
    open_run(folder, open_inputs(configure()).run_key)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_record_says_after_which_epochs_a_run_was_resumed(tmp_path):
    folder, run_key = tmp_path / "run", {"config": {"epochs": 1}}
    for epoch in (2, 2, 5):
        open_run(folder, run_key)
        note_resumed(folder, epoch)
    write_record(folder, run_key | {"metrics": {}})
    assert read_record(folder)["resumed_after"] == [2, 2, 5]


def test_a_finished_run_without_its_weights_is_kept_beside(finished_run, configure, capsys):
    """So lie the published runs in `results`: what is trained there anew may be interrupted."""
    folder = Path(shutil.copytree(finished_run.run_path, configure().run_path))
    (folder / MODEL).unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run_key = open_inputs(configure()).run_key
    open_run(folder, run_key)
    assert json.loads((folder / RECORD).read_text()) == run_key
    kept = folder.with_name(f"{folder.name}~1")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert f"is kept as {kept.name}, out of the table" in capsys.readouterr().out


def test_what_a_run_without_a_record_left_is_not_gone_on_with(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_best=False)
    model = build("testing", (13, 16, 16))
    model.compile("sgd", "mse")
    checkpoints.set_model(model)
    checkpoints.on_epoch_end(0, {"loss": 1.0})
    assert Checkpoints(tmp_path, keep_best=False).restore(model) == 1
    open_run(tmp_path, {"config": {"epochs": 9}})
    assert Checkpoints(tmp_path, keep_best=False).restore(model) == 0


@pytest.mark.parametrize("content", ["", '{"config": 1', "[]", "null", "\0\0"])
def test_broken_record_is_put_aside(tmp_path, content):
    folder, run_key = tmp_path / "run", {"config": {"epochs": 1}}
    folder.mkdir()
    (folder / RECORD).write_text(content)
    assert not is_finished(folder, run_key)
    open_run(folder, run_key)
    assert json.loads((folder / RECORD).read_text()) == run_key


def test_one_process_at_a_time_trains_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_lib.runs.folder.LOCK_SECONDS", 0)
    folder = tmp_path / "table" / "run"
    with only_process_in(folder):
        with (
            pytest.raises(InputError, match=r"another process is training in .*run: expected"),
            only_process_in(folder),
        ):
            pass
        with only_process_in(folder.with_name("other")):
            pass
    with only_process_in(folder):
        pass
    assert not folder.exists()


def test_where_nothing_can_be_locked_training_goes_on(tmp_path):
    (tmp_path / ".run.lock").write_bytes(b"not what SQLite can lock" * 100)
    with only_process_in(tmp_path / "run"):
        pass


def test_code_version_follows_the_code():
    assert code_version() == code_version()
    assert len(code_version().partition("+")[2]) == 12
