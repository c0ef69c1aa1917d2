"""The accuracy table, and the README's copy of it."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import change_record

from ecg_lib.data.khan2021 import published_accuracies
from ecg_lib.errors import InputError
from ecg_lib.evaluation import fold_tables, summary
from ecg_lib.evaluation.calibration import score
from ecg_lib.evaluation.documents import update_document
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.evaluation.tables import accuracy_table, table_markdown, write_table
from ecg_lib.models import DISPLAY_NAMES, PUBLISHED
from ecg_lib.runs.folder import folders_of_runs
from ecg_lib.runs.predictions import LOGIT, PREDICTIONS, read_predictions, scored_parts


def add_run(run, model, top=None, **changes):
    """A finished run of another network, with the same predictions."""
    other = shutil.copytree(run, run.with_name(f"{model}-s{changes.get('seed', 1)}"))
    change_record(other, {"model": model.partition("-")[0], **changes}, **top or {})
    return other


def member(seed):
    return {"seed": seed, "model_sha256": "0"}


def predict_rightly(run, right):
    """Let the first `right` scored files be predicted rightly, the others wrongly."""
    table = read_predictions(run)
    columns = [name for name in table if name.startswith(LOGIT)]
    for number, label in enumerate(table["label"]):
        own = columns.index(LOGIT + label)
        table.loc[number, columns] = -1.0
        table.loc[number, columns[own if number < right else own - 1]] = 1.0
    table.to_csv(run / PREDICTIONS, index=False)
    change_record(run)
    return table


# --- The accuracy table ---


@pytest.mark.parametrize("right", [0, 4, 10])
def test_table_is_computed_from_the_predictions(folder, run, right):
    predictions = predict_rightly(run, right)
    (row,) = accuracy_table(folder).to_dict("records")
    assert row["both"] == right / 10
    for name, part in scored_parts(predictions, "plain").items():
        assert row[name] == accuracy(part)
    assert f"| {right / 10:.4f} |" in table_markdown(folder)


def test_a_strangers_record_stays_text(folder, run):
    change_record(run, data="<script>x</script>\x1b[2J", devices=["a|b"])
    text = table_markdown(folder)
    assert r"Data: &lt;script&gt;x&lt;/script&gt;\\x1b\[2J. " in text and "| a\\|b |" in text


def test_our_networks_stand_below_the_others_under_their_heading(folder, run):
    without = table_markdown(folder)
    add_run(run, "lead_attention")
    rows = table_markdown(folder).splitlines()
    names = [row.split(" | ")[0] for row in rows if row.startswith("| ")]
    assert names == ["| model", "| ---", "| Testing", "| **ours**", "| Lead attention"]
    assert without.splitlines()[:3] == rows[:3]
    assert rows[4].count("|") == rows[2].count("|")
    assert rows[4].split(" | ")[1:] == rows[2].split(" | ")[1:]


def test_variants_and_ensembles_are_told_apart(folder, run):
    add_run(run, "cnn_2d-ink", ink_only=True)
    add_run(run, "cnn_2d-augmented-mixed", recipe="augmented", mixed_precision=True)
    add_run(run, "cnn_2d-ensemble", {"members": [member(3), member(12)]})
    table = accuracy_table(folder).set_index("run")
    assert table.loc["cnn_2d-ink-s1", "model"] == "CNN 2D, only ink"
    assert table.loc["cnn_2d-augmented-mixed-s1", "model"] == "CNN 2D, augmented, mixed precision"
    mean = table.loc["cnn_2d-ensemble-s1"]
    assert (mean["model"], mean["seed"]) == ("CNN 2D, mean of 2 seeds", "3+12")


def test_runs_on_other_pages_are_neither_averaged_nor_compared(folder, run):
    """Under plain, the seed draws the split."""
    other = add_run(run, "testing", {"split_hash": "of other pages"}, seed=2)
    predictions = read_predictions(other)
    predictions.assign(page_id="other " + predictions["page_id"]).to_csv(
        other / PREDICTIONS, index=False
    )
    change_record(other)
    scored = fold_tables.scored_models(folder)
    assert [title.partition("-s")[2] for title in scored] == ["1, fold 0", "2, fold 0"]
    assert fold_tables.comparison_table(folder).empty


def test_runs_with_other_epochs_are_not_averaged(folder, run):
    add_run(run, "testing", seed=2, epochs=99)
    assert len(fold_tables.scored_models(folder)) == 2


def test_the_first_seed_is_the_least_number(folder, run):
    for seed in (10, 2):
        add_run(run, "cnn_2d", seed=seed)
    assert "cnn_2d-s2+10" in set(fold_tables.fold_table(folder)["run"])
    compared = fold_tables.comparison_table(folder)[["model", "other"]].to_numpy()
    assert "cnn_2d-s2" in compared
    assert "cnn_2d-s10" not in compared


def test_only_networks_as_published_join_the_ensemble(folder, run):
    change_record(run, {"height": 64, "width": 64})
    of_two = {"members": [member(1), member(2)]}
    for other in (
        add_run(run, "cnn_2d-mixed", mixed_precision=True),
        add_run(run, "cnn_2d-ensemble", of_two),
    ):
        predict_rightly(other, 0)
    joined = [predict_rightly(add_run(run, name), 5) for name in ("cnn_2d", "hybrid")]
    (expected, _) = map(score, joined)
    found = fold_tables.scored_models(folder)["ensemble, fold 0"]
    pd.testing.assert_frame_equal(found, expected)


def test_rows_come_in_the_order_of_the_registry(folder, run):
    for model in sorted(PUBLISHED):
        add_run(run, model)
    table = accuracy_table(folder)
    assert list(table["model"]) == [DISPLAY_NAMES[name] for name in (*PUBLISHED, "testing")]
    rows = [line for line in table_markdown(folder).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {name}" for name in table["model"]]
    assert len({row.count(" |") for row in rows}) == 1


def test_caption_says_what_it_was_measured_on(folder):
    text = table_markdown(folder)
    for words in ("drawn", "Protocol: plain", "15 train, 5 validation, 5 test", "16x16"):
        assert words in text


def test_published_accuracies_stand_beside_ours_under_their_protocol_only(folder, run):
    assert not any(name.startswith("published") for name in accuracy_table(folder))
    change_record(run, {"protocol": "published", "model": "cnn_2d"})
    (row,) = accuracy_table(folder).to_dict("records")
    assert row["published_both"] == 0.9818
    assert "| 0.9818 |" in table_markdown(folder)


@pytest.mark.real
def test_published_accuracies_are_the_original_s(shared):
    reported = json.loads(
        (shared / "original" / "reported_results.json").read_text(encoding="utf-8")
    )
    names = {"test": "test", "val": "validation", "test_and_val": "both"}
    assert published_accuracies() == {
        model: {ours: figures[f"accuracy_{theirs}"] for theirs, ours in names.items()}
        for model, figures in reported.items()
    }


def test_written_tables_agree(folder):
    text = write_table(folder)
    assert (folder / "accuracy.md").read_text(encoding="utf-8") == text
    written = pd.read_csv(folder / "accuracy.csv", dtype={"seed": str})
    pd.testing.assert_frame_equal(written, accuracy_table(folder), rtol=1e-5)


def test_no_finished_run(tmp_path):
    for read in (accuracy_table, folders_of_runs):
        with pytest.raises(InputError, match="holds no finished run"):
            read(tmp_path / "missing")


# --- The README ---


def test_readme_changes_between_its_marks_only(folder, tmp_path):
    mark, end = "<!-- table: results/drawn/plain -->", "<!-- end of table -->"
    readme = tmp_path / "README.md"
    readme.write_text(
        f"# Before\n{mark}\nold figures\n{end}\nbetween\n{mark}\n{end}\nafter\n", encoding="utf-8"
    )
    update_document(readme, tmp_path)
    text = readme.read_text(encoding="utf-8")
    table = table_markdown(folder)
    assert text == (f"# Before\n{mark}\n{table}{end}\nbetween\n{mark}\n{table}{end}\nafter\n")
    update_document(readme, tmp_path)
    assert readme.read_text(encoding="utf-8") == text


def test_a_document_that_is_no_text_is_named(tmp_path):
    (tmp_path / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"README.md cannot be read: .*; expected text in UTF-8"):
        update_document(tmp_path / "README.md", tmp_path)


@pytest.mark.parametrize(
    ("source", "words"), [("nowhere", "holds no finished run"), ("nowhere.csv", "is not a file")]
)
def test_document_that_names_no_table(tmp_path, source, words):
    readme = tmp_path / "README.md"
    readme.write_text(f"<!-- table: {source} -->\nold\n<!-- end of table -->\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"{source} {words}"):
        update_document(readme, tmp_path)
    assert "old" in readme.read_text(encoding="utf-8")


@pytest.fixture
def document_with_mark(tmp_path):
    """A function that writes a document of a repository, with a mark; a table lies in each folder.

    A link in the repository leads to the one elsewhere.
    """
    for folder in ("project/.git", "project/docs", "runs", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.csv").write_text("a\n1\n", encoding="utf-8")
    (tmp_path / "project" / "link.csv").symlink_to(tmp_path / "elsewhere" / "a.csv")

    def write(path):
        document = tmp_path / "project" / "docs" / "page.md"
        text = f"<!-- table: {path} -->\n<!-- end of table -->\n"
        document.write_text(text, encoding="utf-8")
        return document

    return write


@pytest.mark.parametrize("name", ["project/docs/a.csv", "project/.git/a.csv", "runs/a.csv"])
def test_marks_lead_to_the_repository_and_the_results(document_with_mark, tmp_path, name):
    for path in (f"../../{name}", tmp_path / name):
        document = document_with_mark(path)
        update_document(document, tmp_path / "runs")
        assert "| a |\n| --- |\n| 1 |\n" in document.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["elsewhere/a.csv", "project/link.csv", "runs/\0.csv"])
def test_marks_lead_nowhere_else(document_with_mark, tmp_path, name):
    for path in (f"../../{name}", tmp_path / name):
        document = document_with_mark(path)
        with pytest.raises(InputError, match=f"page.md has a mark that leads to {path}: expected"):
            update_document(document, tmp_path / "runs")


# --- The front page's table ---


def test_summary_takes_a_run_in_mixed_precision_where_there_is_no_other(monkeypatch):
    reproduced = pd.DataFrame(
        {
            "model": ["CNN 2D, mixed precision", "CNN 2D", "AttentionVGG, mixed precision"],
            "both": [0.1, 0.2, 0.3],
        }
    )
    of_no_fold = pd.DataFrame(
        columns=["folds", "model", "accuracy", "accuracy_low", "accuracy_high"]
    )
    monkeypatch.setattr(summary, "accuracy_table", lambda folder: reproduced)
    monkeypatch.setattr(summary, "fold_table", lambda folder: of_no_fold)
    table = summary.summary_table(Path()).set_index("model")["reproduced"]
    assert table[["CNN 2D", "AttentionVGG"]].tolist() == [0.2, 0.3]
    assert table.drop(["CNN 2D", "AttentionVGG"]).isna().all()
