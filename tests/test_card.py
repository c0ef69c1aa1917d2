"""The model card says what the run folder says."""

import json
import re
import shutil
from pathlib import Path

from conftest import change_record
from huggingface_hub import ModelCard

from ecg_lib import cli
from ecg_lib.runs.folder import read_record
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions
from ecg_lib.serving import card
from ecg_lib.serving.measured import measure

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "results" / "models" / "lead_attention"


def test_the_committed_card_follows_from_the_committed_run():
    assert (COMMITTED / card.CARD).read_text(encoding="utf-8") == card.model_card(COMMITTED)


def test_model_hubs_read_the_head():
    committed = measure(COMMITTED)
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
    assert json.dumps(measure(run).as_record(), allow_nan=False)
    assert card.write_card(str(run)) == run / card.CARD


def test_what_is_let_through_stands_in_the_card_if_it_was_measured(finished_run, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    assert "What is let through" not in card.model_card(run)
    (run / card.REFUSALS).write_text("pages,number,read\nnoise,5,0.250\n", encoding="utf-8")
    assert "| noise | 5 | 0.250 |" in card.model_card(run)


def test_what_was_measured_elsewhere_stands_in_the_card(finished_run, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    before = card.model_card(run)
    for name, section in card.MEASURED_ELSEWHERE.items():
        (run / name).write_text("pages,AUROC\n<b>,0.250\n", encoding="utf-8")
        text = card.model_card(run)
        assert f"{section}\n| pages | AUROC |" in text and "| &lt;b&gt; | 0.250 |" in text
        assert section not in before
        (run / name).unlink()


def test_teachers_are_named(run_copy):
    assert "teachers" not in card.model_card(run_copy)
    change_record(run_copy, {"teachers": "123456789abc"})
    text = card.model_card(run_copy)
    assert "with recordings as teachers, " in text and "digest 123456789abc" in text


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
