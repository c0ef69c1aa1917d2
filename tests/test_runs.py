"""Run folders, the accuracy table, and the README's copy of it."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ecg_lib.errors import InputError
from ecg_lib.experiment import runs
from ecg_lib.experiment.evaluation import LOGIT, accuracy, parts
from ecg_lib.experiment.inputs import open_inputs
from ecg_lib.models import DISPLAY_NAMES, MODELS, PUBLISHED


@pytest.fixture
def folder(finished_run, tmp_path):
    """A folder of runs that holds one finished run, of the testing network."""
    copy = tmp_path / "results" / "drawn" / "plain"
    shutil.copytree(finished_run.table_path, copy)
    return copy


@pytest.fixture
def run(folder):
    (found,) = runs.finished_runs(folder)
    return found


def change_record(run, **changes):
    record = json.loads((run / runs.RECORD).read_text())
    record["config"] |= changes
    (run / runs.RECORD).write_text(json.dumps(record))


def add_run(run, model, **changes):
    """A finished run of another network, with the same predictions."""
    other = shutil.copytree(run, run.with_name(f"{model}-s1"))
    change_record(other, model=model, **changes)
    return other


def predict_rightly(run, right):
    """Let the first `right` scored files be predicted rightly, the others wrongly."""
    table = runs.read_predictions(run)
    columns = [name for name in table if name.startswith(LOGIT)]
    for number, label in enumerate(table["label"]):
        own = columns.index(LOGIT + label)
        table.loc[number, columns] = -1.0
        table.loc[number, columns[own if number < right else own - 1]] = 1.0
    table.to_csv(run / runs.PREDICTIONS, index=False)
    return table


# --- The accuracy table ---


@pytest.mark.parametrize("right", [0, 4, 10])
def test_table_is_computed_from_the_predictions(folder, run, right):
    predictions = predict_rightly(run, right)
    (row,) = runs.accuracy_table(folder).to_dict("records")
    assert row["both"] == right / 10
    for name, part in parts(predictions, "plain").items():
        assert row[name] == accuracy(part)
    assert f"| {right / 10:.4f} |" in runs.table_markdown(folder)


def test_rows_come_in_the_order_of_the_registry(folder, run):
    for model in sorted(PUBLISHED):
        add_run(run, model)
    table = runs.accuracy_table(folder)
    assert list(table["model"]) == [DISPLAY_NAMES[name] for name in MODELS]
    rows = [line for line in runs.table_markdown(folder).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {name}" for name in table["model"]]
    assert len({row.count(" |") for row in rows}) == 1


def test_caption_says_what_it_was_measured_on(folder):
    text = runs.table_markdown(folder)
    for words in ("drawn", "Protocol: plain", "15 train, 5 validation, 5 test", "16x16"):
        assert words in text


def test_runs_put_aside_or_unfinished_do_not_count(folder, run):
    shutil.copytree(run, run.with_name(f"{run.name}~1"))
    unfinished = run.with_name("cnn_2d-s1")
    unfinished.mkdir()
    (unfinished / runs.RECORD).write_text('{"config": {"model": "cnn_2d"}}')
    (folder / "broken").mkdir()
    (folder / "broken" / runs.RECORD).write_text('{"config"')
    assert runs.finished_runs(folder) == [run]
    with pytest.raises(InputError, match="holds no finished run"):
        runs.read_record(unfinished)


def test_published_accuracies_stand_beside_ours_under_their_protocol_only(folder, run):
    assert not any(name.startswith("published") for name in runs.accuracy_table(folder))
    change_record(run, protocol="published", model="cnn_2d")
    (row,) = runs.accuracy_table(folder).to_dict("records")
    assert row["published_both"] == 0.9818
    assert "| 0.9818 |" in runs.table_markdown(folder)


@pytest.mark.real
def test_published_accuracies_are_the_original_s(shared):
    reported = json.loads((shared / "original" / "reported_results.json").read_text())
    names = {"test": "test", "val": "validation", "test_and_val": "both"}
    assert runs.published_accuracies() == {
        model: {ours: figures[f"accuracy_{theirs}"] for theirs, ours in names.items()}
        for model, figures in reported.items()
    }


def test_written_tables_agree(folder):
    text = runs.write_table(folder)
    assert (folder / "accuracy.md").read_text() == text
    written = pd.read_csv(folder / "accuracy.csv")
    pd.testing.assert_frame_equal(written, runs.accuracy_table(folder), rtol=1e-5)


def test_no_finished_run(tmp_path):
    for read in (runs.accuracy_table, runs.folders_of_runs):
        with pytest.raises(InputError, match="holds no finished run"):
            read(tmp_path / "missing")


def test_folders_of_runs(folder, tmp_path):
    assert runs.folders_of_runs(tmp_path / "results") == [folder]


def test_description_names_the_run(run):
    text = runs.describe(run)
    assert str(run) in text and "drawn, plain" in text and "epochs: 2" in text


# --- The README ---


def test_readme_changes_between_its_marks_only(folder, tmp_path):
    mark, end = "<!-- table: results/drawn/plain -->", "<!-- end of table -->"
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n{mark}\nold figures\n{end}\nbetween\n{mark}\n{end}\nafter\n")
    runs.update_readme(readme)
    text = readme.read_text()
    table = runs.table_markdown(folder)
    assert text == (f"# Before\n{mark}\n{table}{end}\nbetween\n{mark}\n{table}{end}\nafter\n")
    runs.update_readme(readme)
    assert readme.read_text() == text


def test_readme_that_names_no_runs(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table: nowhere -->\nold\n<!-- end of table -->\n")
    with pytest.raises(InputError, match="nowhere holds no finished run"):
        runs.update_readme(readme)
    assert "old" in readme.read_text()


# --- Interrupted runs ---


def test_open_run_numbers_what_it_puts_aside(tmp_path):
    for number in range(3):
        runs.open_run(tmp_path / "run", {"config": {"epochs": number}})
        runs.open_run(tmp_path / "run", {"config": {"epochs": number}})
    names = {path.name: json.loads((path / runs.RECORD).read_text()) for path in tmp_path.iterdir()}
    epochs = {name: record["config"]["epochs"] for name, record in names.items()}
    assert epochs == {"run~1": 0, "run~2": 1, "run": 2}


def test_a_record_older_than_a_knob_counts_with_its_default(finished_run, configure):
    older = json.loads((finished_run.run_path / runs.RECORD).read_text())
    del older["config"]["mixed_precision"]
    folder = Path(shutil.copytree(finished_run.run_path, configure().run_path))
    (folder / runs.RECORD).write_text(json.dumps(older))
    assert runs.is_finished(folder, open_inputs(configure()).identity)
    assert not runs.is_finished(folder, open_inputs(configure(mixed_precision=True)).identity)
    runs.open_run(folder, open_inputs(configure()).identity)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_record_says_after_which_epochs_a_run_was_resumed(tmp_path):
    folder, identity = tmp_path / "run", {"config": {"epochs": 1}}
    for epoch in (2, 2, 5):
        runs.open_run(folder, identity)
        runs.note_resumed(folder, epoch)
    runs.write_record(folder, identity | {"metrics": {}})
    assert runs.read_record(folder)["resumed_after"] == [2, 2, 5]
    # Finished, so it is only opened again to be trained anew.
    runs.open_run(folder, identity)
    assert json.loads((folder / runs.RECORD).read_text()) == identity


@pytest.mark.parametrize("content", ["", '{"config": 1', "[]", "null", "\0\0"])
def test_broken_record_is_put_aside(tmp_path, content):
    folder, identity = tmp_path / "run", {"config": {"epochs": 1}}
    folder.mkdir()
    (folder / runs.RECORD).write_text(content)
    assert not runs.is_finished(folder, identity)
    runs.open_run(folder, identity)
    assert json.loads((folder / runs.RECORD).read_text()) == identity


def test_one_process_at_a_time_trains_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "LOCK_SECONDS", 0)
    folder = tmp_path / "table" / "run"
    with runs.only_process_in(folder):
        with (
            pytest.raises(InputError, match=r"another process is training in .*run: expected"),
            runs.only_process_in(folder),
        ):
            pass
        with runs.only_process_in(folder.with_name("other")):
            pass
    with runs.only_process_in(folder):
        pass
    assert not folder.exists()


def test_where_nothing_can_be_locked_training_goes_on(tmp_path):
    (tmp_path / ".run.lock").write_bytes(b"not what SQLite can lock" * 100)
    with runs.only_process_in(tmp_path / "run"):
        pass


def test_code_version_follows_the_code():
    assert runs.code_version() == runs.code_version()
    assert len(runs.code_version().partition("+")[2]) == 12
