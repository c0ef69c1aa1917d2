"""An ensemble answers with its members' mean probability, and is a run like any other."""

import shutil
from unittest.mock import Mock

import keras
import numpy as np
import pytest
from conftest import change_record
from scipy.special import expit, softmax

from ecg_lib import cli
from ecg_lib.evaluation.calibration import probabilities_of, score
from ecg_lib.evaluation.comparison import mean_of_models
from ecg_lib.evaluation.out_of_distribution import fit_answering
from ecg_lib.files import only_process_in, sha256
from ecg_lib.models import load
from ecg_lib.runs.folder import MODEL, RECORD, STATEMENTS_HEAD, read_record
from ecg_lib.runs.network import load_network
from ecg_lib.runs.predictions import LOGIT, PREDICTIONS, read_predictions
from ecg_lib.serving import export
from ecg_lib.serving.card import model_card
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.runtimes import litert_network, onnx_network
from ecg_lib.training.ensemble import make_ensemble


@pytest.fixture(scope="module")
def members(finished_run, prepared_set, tmp_path_factory):
    """Three run folders of the same pages and split, of networks with other weights."""
    folder = tmp_path_factory.mktemp("members")
    return [_member(finished_run, prepared_set, folder, seed) for seed in (1, 2, 10)]


def _member(finished_run, prepared_set, folder, seed):
    """The finished run as it might have come out from another seed."""
    run = shutil.copytree(finished_run.run_path, folder / f"testing-s{seed}")
    model = load(run / MODEL)
    rng = np.random.default_rng(seed)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    model.save(run / MODEL)
    predictions = read_predictions(run)
    logits = predictions.filter(like=LOGIT).columns
    predictions[logits] = model.predict(crops_of(predictions, prepared_set), verbose=0)
    predictions.to_csv(run / PREDICTIONS, index=False, float_format="%.6g")
    change_record(run, {"seed": seed})
    return run


def crops_of(predictions, prepared_set):
    row_of = dict(zip(prepared_set.pages["file"], prepared_set.pages.index, strict=True))
    return prepared_set.crops[predictions["file"].map(row_of)]


@pytest.fixture(scope="module")
def ensemble(members, tmp_path_factory):
    return make_ensemble(members, tmp_path_factory.mktemp("made") / "ensemble")


def test_the_network_answers_with_the_mean_probability(members, ensemble, prepared_set):
    crops = prepared_set.crops[:20]
    together = softmax(load(ensemble / MODEL).predict(crops, verbose=0), axis=1)
    apart = [softmax(load(run / MODEL).predict(crops, verbose=0), axis=1) for run in members]
    np.testing.assert_allclose(together, np.mean(apart, axis=0), rtol=1e-4)
    assert np.abs(apart[0] - apart[1]).max() > 0.01  # else any of them would do


def test_the_predictions_are_those_of_the_network(ensemble, prepared_set):
    predictions = read_predictions(ensemble)
    crops = crops_of(predictions, prepared_set)
    logits = load(ensemble / MODEL).predict(crops, verbose=0)
    np.testing.assert_allclose(predictions.filter(like=LOGIT), logits, rtol=1e-3, atol=1e-4)


def test_it_is_the_same_mean_as_that_of_the_tables(members, ensemble):
    of_members = [score(read_predictions(run)) for run in members]
    expected = probabilities_of(mean_of_models(of_members))
    found = probabilities_of(score(read_predictions(ensemble)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_record_tells_what_it_is_made_of(members, ensemble):
    record, of_members = read_record(ensemble), [read_record(run) for run in members]
    assert record.seeds == (1, 2, 10)
    assert [member.model_sha256 for member in record.members] == [
        sha256(run / MODEL) for run in members
    ]
    assert record.parameters == 3 * of_members[0].parameters
    assert record.model_sha256 == sha256(ensemble / MODEL)
    assert record.pages == of_members[0].pages
    assert record.answering == fit_answering(read_predictions(ensemble))
    card = model_card(ensemble)
    assert "# Model card: Testing, mean of 3 seeds\n" in card
    assert "random seed 1, 2, 10, batch" in card


def test_the_record_tells_what_is_true_of_all_members(members, ensemble, tmp_path):
    record = read_record(ensemble)
    assert (record.resumed, record.devices) == (False, read_record(members[0]).devices)
    resumed = shutil.copytree(members[1], tmp_path / "resumed")
    change_record(resumed, resumed=True, resumed_after=[3], devices=["Tesla T4", "Tesla T4"])
    for chosen in ([members[0], resumed], [resumed, members[0]]):
        record = read_record(make_ensemble(chosen, tmp_path / chosen[0].name / "ensemble"))
        assert record.resumed is True
        assert record.resumed_after == ()
        one, other = (read_record(member).devices for member in chosen)
        assert record.devices == one + other


def test_what_was_interrupted_can_be_made_again(members, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("ecg_lib.training.ensemble.finish_run", Mock(side_effect=KeyboardInterrupt))
        make_ensemble(members, tmp_path / "ensemble")
    assert read_record(make_ensemble(members, tmp_path / "ensemble")).members
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["ensemble"]


def test_two_at_once_do_not_write_one_folder(members, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ecg_lib.training.ensemble.LOCK_SECONDS", 0)
    with only_process_in(tmp_path / "new"):
        line = refusal(capsys, tmp_path / "new", *members)
    assert f"another process is writing to {tmp_path / 'new'}: expected" in line


def test_statements_are_averaged_where_all_members_learnt_them(members, tmp_path, prepared_set):
    runs = [shutil.copytree(run, tmp_path / run.name) for run in members]
    heads = []
    for run in runs:
        model = load(run / MODEL)
        head = keras.layers.Dense(4, name="statements")(model.get_layer("logits").input)
        heads.append(keras.Model(model.input, head))
        heads[-1].save(run / STATEMENTS_HEAD)
    crops = np.array(prepared_set.crops[:20])
    ensemble = make_ensemble(runs, tmp_path / "ensemble")
    outputs = load_network(ensemble, read_record(ensemble)).predict(crops, verbose=0)
    apart = [expit(head.predict(crops, verbose=0)) for head in heads]
    np.testing.assert_allclose(outputs["statements"], np.mean(apart, axis=0), atol=1e-5)
    assert np.abs(apart[0] - apart[1]).max() > 0.01
    np.testing.assert_array_equal(
        load(ensemble / MODEL).predict(crops, verbose=0), outputs["logits"]
    )
    (runs[0] / STATEMENTS_HEAD).unlink()
    other = make_ensemble(runs, tmp_path / "other")
    assert list(load_network(other, read_record(other)).output) == ["logits"]


def test_it_answers_for_a_page(ensemble, pages_folder):
    answer = Predictor(ensemble).answer(pages_folder / "normal" / "normal_0001.jpg")
    assert answer.refusal is not None or sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", export.FORMATS)
def test_it_can_be_exported(ensemble, tmp_path, prepared_set, file_format):
    run = shutil.copytree(ensemble, tmp_path / "run")
    path, difference = export.export(run, file_format)
    assert difference <= export.TOLERANCE
    crops = np.array(prepared_set.crops[:3])
    open_file = {
        "onnx": lambda path: onnx_network(path, read_record(run)),
        "litert": litert_network,
    }
    expected = load(run / MODEL).predict_on_batch(crops)
    found = open_file[file_format](path)(crops)["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_command_writes_it(members, tmp_path, capsys):
    made = tmp_path / "new" / "ensemble"
    assert cli.main(["ensemble", *map(str, members), "--to", str(made)]) == 0
    assert str(made) in capsys.readouterr().out
    assert read_record(made).members


def refusal(capsys, folder, *members):
    assert cli.main(["ensemble", *map(str, members), "--to", str(folder)]) == 2
    assert not (folder / MODEL).exists() or folder in members
    return capsys.readouterr().err


def test_what_differs_by_more_than_the_seed_is_refused(members, tmp_path, capsys):
    other = shutil.copytree(members[1], tmp_path / "other")
    change_record(other, {"epochs": 7})
    line = refusal(capsys, tmp_path / "new", members[0], other)
    assert f"{other} differs from {members[0]} in epochs, 7 and " in line
    change_record(other, {"epochs": 2}, split_hash="0")
    line = refusal(capsys, tmp_path / "new", members[0], other)
    assert f"{other} was not trained and tested on the same pages as {members[0]}" in line


def test_one_member_or_the_same_twice_is_refused(members, tmp_path, capsys):
    for chosen in (members[:1], [members[0], members[0], members[1]]):
        assert "expected two or more" in refusal(capsys, tmp_path / "new", *chosen)


def test_an_ensemble_is_no_member(members, ensemble, tmp_path, capsys):
    line = refusal(capsys, tmp_path / "new", members[1], ensemble)
    assert f"{ensemble} is an ensemble already" in line


def test_a_run_is_not_written_over(members, capsys):
    before = sha256(members[0] / RECORD)
    assert "holds a run already" in refusal(capsys, members[0], *members)
    assert sha256(members[0] / RECORD) == before


def test_other_files_are_not_written_over(members, tmp_path, capsys):
    own = tmp_path / "history.csv"
    own.write_text("of something else", encoding="utf-8")
    assert "holds other files than a run" in refusal(capsys, tmp_path, *members)
    assert own.read_text(encoding="utf-8") == "of something else"


def test_a_member_without_weights_is_refused(members, tmp_path, capsys):
    bare = shutil.copytree(members[1], tmp_path / "bare", ignore=shutil.ignore_patterns("*.keras"))
    assert "holds no model.keras" in refusal(capsys, tmp_path / "new", members[0], bare)
