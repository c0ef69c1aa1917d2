"""The model card says what the run folder says."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import change_record
from huggingface_hub import ModelCard

from ecg_lib import cli
from ecg_lib.data.khan2021 import published_files
from ecg_lib.errors import InputError
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.runs.folder import read_record
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions
from ecg_lib.serving import card

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "results" / "models" / "lead_attention"


@pytest.fixture(scope="module")
def committed():
    return card.measure(COMMITTED)


def test_the_committed_card_follows_from_the_committed_run():
    assert (COMMITTED / card.CARD).read_text(encoding="utf-8") == card.model_card(COMMITTED)


def test_model_hubs_read_the_head(committed):
    data = ModelCard.load(COMMITTED / card.CARD).data
    assert (data.license, data.library_name, data.datasets) == ("mit", "keras", ["khan2021"])
    assert "ecg" in data.tags and "not-for-diagnosis" in data.tags
    assert data.model_name == committed.network
    shown = {result.metric_type: result.metric_value for result in data.eval_results}
    assert list(shown) == data.metrics
    assert shown["accuracy"] == round(committed.figures.loc["accuracy", "value"], 4)
    assert data.eval_results[0].dataset_name == "khan2021, protocol clean, test pages"


def test_the_head_keeps_a_stranger_s_names_as_names(run_copy):
    name = 'x"\nlicense: apache-2.0\n---\n[a](b)'
    change_record(run_copy, data=name)
    data = ModelCard(card.model_card(run_copy)).data
    assert data.datasets == [name]
    assert data.license == "unknown"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_without_pages_of_a_split_are_named(run_copy, split):
    lines = (run_copy / PREDICTIONS).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if f",{split}," not in line)
    (run_copy / PREDICTIONS).write_text(kept, encoding="utf-8")
    change_record(run_copy)
    with pytest.raises(InputError, match=rf"predictions.csv holds no {split} pages: expected at"):
        card.measure(run_copy)


def test_figures_are_those_of_the_test_pages(committed):
    test = committed.predictions[committed.predictions["split"] == "test"]
    assert f"right on {accuracy(test):.3f} (" in committed.summary
    assert f"of {len(test)} test pages" in committed.summary
    of_classes = committed.class_table.set_index("class")
    normal = test[test["label"] == "normal"]
    assert of_classes.loc["Normal", "pages"] == len(normal)
    assert of_classes.loc["Normal", "sensitivity"].startswith(f"{accuracy(normal):.3f} (")


def test_layouts_are_told_apart(committed):
    layouts = published_files().drop_duplicates("page_id").set_index("page_id")["layout"]
    test = committed.predictions[committed.predictions["split"] == "test"]
    small = test[test["page_id"].map(layouts) == "standard_6x2_with_rhythm"]
    row = committed.layout_table.set_index("layout").loc["standard_6x2_with_rhythm"]
    assert row["pages"] == len(small)
    assert row["accuracy"].startswith(f"{accuracy(small):.3f} (")
    assert row["Normal"] == 0
    assert committed.layout_table["pages"].sum() == len(test)


def test_calibration_before_and_after(committed):
    before, after = committed.calibration_table["expected calibration error"].astype(float)
    assert before != after
    assert f"{committed.temperature:.3f}" in committed.calibration_table.iloc[1, 0]


def test_a_card_of_any_run(finished_run, tmp_path, capsys):
    """Of other pages than the published ones, with classes that no test page has."""
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    predictions = read_predictions(run)
    is_covid = (predictions["split"] == "test") & (predictions["label"] == "covid_19")
    predictions[~is_covid].to_csv(run / PREDICTIONS, index=False)
    change_record(run)
    assert cli.main(["card", str(run)]) == 0
    assert card.CARD in capsys.readouterr().out
    text = (run / card.CARD).read_text(encoding="utf-8")
    assert "not in the catalogue" in text
    assert card.DISCLAIMER in text
    record = read_record(run)
    assert record.model_sha256 in text and record.split_hash[:12] in text
    assert json.dumps(card.measure(run).as_record(), allow_nan=False)
    assert card.write_card(str(run)) == run / card.CARD


def test_what_is_let_through_stands_in_the_card_if_it_was_measured(finished_run, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    assert "What is let through" not in card.model_card(run)
    (run / card.REFUSALS).write_text("pages,number,read\nnoise,5,0.250\n", encoding="utf-8")
    assert "| noise | 5 | 0.250 |" in card.model_card(run)


def test_a_strangers_record_stays_text(finished_run, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    script = "<script>alert(1)</script> [x](http://x)\n# head"
    change_record(run, data=script, libraries={script: script}, devices=[script])
    (run / card.REFUSALS).write_text('pages,read\n"<img src=x>|",0\n', encoding="utf-8")
    text = card.model_card(run)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \\[x\\](http://x) # head" in text
    assert not re.search(r"<script|<img|(?<!\\)\[x|^# head", text, re.MULTILINE)


def test_bad_runs(tmp_path, capsys):
    assert cli.main(["card", str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err
