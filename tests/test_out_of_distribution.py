"""The out-of-distribution score: from training to the answer, alone and in an ensemble."""

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from conftest import ROOT, SIDE, TINY, change_record

from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import (
    FEATURES_LAYER,
    KEPT,
    answering_of,
    fit_answering,
    fit_statistics,
    join_statistics,
    read_statistics,
    scoring_network,
)
from ecg_lib.files import sha256
from ecg_lib.models import LOGITS, SCORE, STATEMENTS, build, load
from ecg_lib.runs.folder import (
    DEFAULT_RUN,
    FEATURES,
    MODEL,
    STATEMENTS_HEAD,
    is_finished,
    read_run,
)
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import read_predictions
from ecg_lib.runs.record import read_record
from ecg_lib.serving import export
from ecg_lib.serving.card import model_card
from ecg_lib.serving.predictor import Predictor
from ecg_lib.training.ensemble import make_ensemble
from ecg_lib.training.train import train

NARROW = partial(build, "lead_attention", **TINY["lead_attention"])


@pytest.fixture(scope="module")
def inputs(configure_in, tmp_path_factory):
    config = configure_in(tmp_path_factory.mktemp("scored"), model="lead_attention", epochs=1)
    return open_inputs(config), config


@pytest.fixture(scope="module")
def members(inputs):
    """Two trained runs that differ by their seed; the drawn split is the same."""
    opened, config = inputs
    runs = []
    for seed in (1, 2):
        of_seed = replace(config, seed=seed)
        key = replace(opened.run_key, config=replace(opened.run_key.config, seed=seed))
        runs.append(train(of_seed, replace(opened, run_key=key), NARROW))
    return runs


@pytest.fixture(scope="module")
def taught(members, tmp_path_factory):
    """Copies of the members with a head for statements each."""
    runs = []
    for member in members:
        runs.append(shutil.copytree(member, tmp_path_factory.mktemp("taught") / member.name))
        model = load(member / MODEL)
        head = keras.layers.Dense(3, name="statements")(model.get_layer("logits").input)
        keras.Model(model.input, head).save(runs[-1] / STATEMENTS_HEAD)
    return runs


@pytest.fixture(scope="module")
def exported(taught, tmp_path_factory):
    """An ensemble with all outputs, and its ONNX file."""
    run = make_ensemble(taught, tmp_path_factory.mktemp("exported") / "ensemble")
    _, difference = export.export(run, "onnx")
    assert difference <= export.TOLERANCE
    return run


@pytest.fixture(scope="module")
def crops(inputs):
    opened, _ = inputs
    return {
        name: opened.prepared.crops[opened.splits.index[opened.splits == name]]
        for name in ("train", "validation")
    }


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (4, 13, SIDE, SIDE), dtype=np.uint8)


def features_of(model, crops):
    leads = keras.Model(model.input, model.get_layer(FEATURES_LAYER).output)
    return leads.predict(crops, verbose=0).mean(axis=1).astype(float)


def scores_of(run, crops):
    return Predictor(run, "keras").network(crops)[SCORE][:, 0]


def test_the_score_is_the_distance_from_the_training_pages(members, crops, noise):
    """It is about 1 for one of those."""
    model = load(members[0] / MODEL)
    training = features_of(model, crops["train"])
    deviations = features_of(model, noise) - training.mean(axis=0)
    covariance = np.cov(training.T, bias=True)
    size = len(covariance)
    covariance = 0.99 * covariance + np.eye(size) * (0.01 * covariance.trace() / size + 1e-6)
    expected = np.einsum("pi,ij,pj->p", deviations, np.linalg.inv(covariance), deviations) / size
    np.testing.assert_allclose(scores_of(members[0], noise), expected, rtol=0.01)
    assert 0.3 < scores_of(members[0], crops["train"]).mean() < 1


def test_the_limit_keeps_its_share_of_the_validation_pages(members, crops):
    statistics = read_statistics(members[0], read_record(members[0]))
    scores = scores_of(members[0], crops["validation"])
    np.testing.assert_allclose(statistics.validation_scores[0], scores, rtol=1e-3)
    many = np.linspace(0, 1, 400)[np.newaxis]
    kept = (many <= replace(statistics, validation_scores=many).limit).mean()
    assert KEPT <= kept <= KEPT + 1 / 400


def test_features_that_never_vary_have_a_distance(noise):
    model = NARROW((13, SIDE, SIDE), mean=20.0, variance=2500.0)
    one = np.repeat(noise[:1], 3, axis=0)
    scored = scoring_network(model, fit_statistics(model, one, one))
    scores = scored.predict_on_batch(noise)[SCORE][:, 0]
    assert np.isfinite(scores).all() and scores[0] < 1 < scores[1:].min()


def test_the_run_holds_its_statistics(members):
    record = read_record(members[0])
    assert record.features_sha256 == sha256(members[0] / FEATURES)
    statistics = read_statistics(members[0], record)
    assert record.answering == fit_answering(read_predictions(members[0]), statistics)
    assert record.answering.largest_score == statistics.limit
    text = model_card(members[0])
    assert f"most {statistics.limit:.2f}, which keeps at least 99 %" in " ".join(text.split())


def test_an_ensemble_has_the_mean_score(members, exported, crops, noise):
    pages = np.concatenate([noise, crops["validation"]])
    apart = [scores_of(member, pages) for member in members]
    assert np.abs(np.log(apart[0] / apart[1])).max() > 0.01  # else either would do
    np.testing.assert_allclose(scores_of(exported, pages), np.mean(apart, axis=0), rtol=1e-3)
    logits = load(exported / MODEL).predict_on_batch(pages)
    np.testing.assert_allclose(Predictor(exported, "keras").logits(pages), logits, atol=1e-5)
    limit = read_record(exported).answering.largest_score
    assert (np.mean(apart, axis=0)[len(noise) :] <= limit).all()


def test_a_member_without_statistics_leaves_the_ensemble_without(members):
    statistics = read_statistics(members[0], read_record(members[0]))
    assert join_statistics([statistics, None]) is None


def test_a_network_without_the_layer_has_no_score(finished_run, noise, pages_folder):
    run = finished_run.run_path
    assert fit_statistics(load(run / MODEL), noise, noise) is None
    assert not (run / FEATURES).exists()
    predictor = Predictor(run)
    assert predictor.network(noise).keys() == {LOGITS}
    answer = predictor.answer(pages_folder / "normal" / "normal_0001.jpg")
    assert answer.out_of_distribution_score is None and answer.refusal is None
    assert "has no out-of-distribution score" in model_card(run)


def test_the_cold_runtime_gives_the_same(exported, taught, noise, pages_folder, tmp_path):
    """Without Keras, the weights and the statistics."""
    run = shutil.copytree(exported, tmp_path / "run")
    in_onnx = Predictor(run, "onnx")
    found = in_onnx.network(noise)[SCORE][:, 0]
    np.testing.assert_allclose(found, scores_of(run, noise), rtol=1e-3)
    assert not (run / STATEMENTS_HEAD).exists()
    apart = [Predictor(member, "keras").network(noise)[STATEMENTS] for member in taught]
    assert np.abs(apart[0] - apart[1]).max() > 0.01
    np.testing.assert_allclose(
        in_onnx.network(noise)[STATEMENTS], np.mean(apart, axis=0), atol=1e-4
    )
    page = pages_folder / "normal" / "normal_0001.jpg"
    (run / MODEL).unlink()
    (run / FEATURES).unlink()
    code = (
        "import sys; from ecg_lib import predict\n"
        f"(answer,) = predict({str(page)!r}, {str(run)!r}, 'onnx')\n"
        "print(answer.out_of_distribution_score, *{'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    (score,) = done.stdout.split()
    assert float(score) == in_onnx.answer(page).out_of_distribution_score > 0


def test_a_page_beyond_the_limit_is_refused(members, pages_folder, monkeypatch):
    page = pages_folder / "normal" / "normal_0001.jpg"
    predictor = Predictor(members[0], "keras")
    answer = predictor.answer(page)
    for limit in (-1.0, float("nan")):
        answering = replace(predictor.answering, largest_score=limit)
        monkeypatch.setattr(predictor, "answering", answering)
        refused = predictor.answer(page)
        assert "looks like nothing that the network was trained on" in refused.refusal
        assert page.name in refused.refusal
        assert refused.label is refused.confidence is refused.probabilities is None
        assert refused.out_of_distribution_score == answer.out_of_distribution_score
        assert refused.detection.boxes == answer.detection.boxes


def test_statistics_of_another_run(members, tmp_path):
    run = shutil.copytree(members[0], tmp_path / "run")
    key = read_record(run).key
    assert is_finished(run, key)
    shutil.copy(members[1] / FEATURES, run)
    assert not is_finished(run, key)
    with pytest.raises(InputError, match=r"features\.npz is not the file that the run\.json"):
        Predictor(run, "keras")
    (run / FEATURES).unlink()
    with pytest.raises(InputError, match=r"features\.npz is missing: expected"):
        Predictor(run, "keras")
    (run / FEATURES).write_bytes(b"no arrays")
    change_record(run, features_sha256=sha256(run / FEATURES))
    with pytest.raises(InputError, match=r"features\.npz cannot be read: expected"):
        Predictor(run, "keras")


def test_an_export_that_is_older_than_the_statistics(members, exported, tmp_path):
    run = shutil.copytree(exported, tmp_path / "run")
    shutil.copy(members[1] / FEATURES, run)
    change_record(run, features_sha256=sha256(run / FEATURES))
    with pytest.raises(InputError, match="was not exported of the network beside it"):
        Predictor(run, "onnx")


def test_the_committed_record_holds_what_its_predictions_give():
    run = read_run(ROOT / DEFAULT_RUN)
    statistics = read_statistics(run.folder, run.record)
    assert run.record.answering == fit_answering(run.predictions, statistics)
    assert answering_of(ROOT / "no such folder", run.record) == run.record.answering
