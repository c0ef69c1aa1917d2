"""The leads of an infarction: on networks that look at known leads, for a simulated recording."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from ecg_lib.data.classes import CLASSES
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.errors import InputError
from ecg_lib.models.layers import logits, standardised_crops
from ecg_lib.pages.leads import CROPS, LEADS
from ecg_lib.serving import infarction
from ecg_lib.serving.explain import Question


@pytest.fixture
def recording(tmp_path):
    """A table of a simulated recording that says its rate, unit and leads itself."""
    path = tmp_path / "heart.csv"
    signals = simulate("myocardial_infarction", np.random.default_rng(2))
    times = np.arange(signals.shape[1]) / RATE
    header = ",".join(["time (s)", *(f"{lead} (mV)" for lead in LEADS)])
    table = np.column_stack([times, signals.T])
    np.savetxt(path, table, "%.4f", ",", header=header, comments="")
    return path


def test_a_recording_is_drawn_beside_it_and_answered_for(finished_run, recording):
    question, answer = infarction.open_recording(finished_run.run_path, recording)
    assert answer.file == recording.with_suffix(".jpg")
    assert answer.detection.layout == infarction.LAYOUT
    np.testing.assert_array_equal(answer.crops, question.crops)
    expected = question.answer["myocardial_infarction"] + question.answer["history_of_mi"]
    assert infarction.infarction_probability(question) == pytest.approx(expected)


def test_what_cannot_be_drawn_is_named(finished_run, tmp_path):
    with pytest.raises(InputError, match=r"ours\.csv is not a file: expected a digital recording$"):
        infarction.open_recording(finished_run.run_path, tmp_path / "ours.csv")
    (tmp_path / "empty.npy").touch()
    with pytest.raises(InputError, match=r"empty\.npy"):
        infarction.open_recording(finished_run.run_path, tmp_path / "empty.npy")


@pytest.fixture
def question():
    """A page with ink in all crops, and a network that sees infarction in that of lead III."""
    pixels, standardised = standardised_crops((13, 8, 8), mean=0.0, variance=255.0**2)
    rows = keras.layers.Reshape((13, 64))(standardised)
    place = CROPS.index("III")
    alone = keras.layers.Cropping1D((place, 12 - place))(rows)
    model = keras.Model(pixels, logits(keras.layers.Flatten()(alone), len(CLASSES)))
    weights = np.zeros((64, len(CLASSES)))
    # Half of the ink speaks for a fresh infarction and half for an old one.
    weights[:32, CLASSES.index("myocardial_infarction")] = 1
    weights[32:, CLASSES.index("history_of_mi")] = 1
    model.get_layer("logits").set_weights([weights, np.zeros(len(CLASSES))])
    crops = np.zeros((13, 8, 8), np.uint8)
    crops[:, 3:5, 1:6] = 200
    return Question(model, "cnn_2d", "", list(CLASSES), 1.0, crops[0], (), CROPS, crops)


def test_the_drop_is_that_of_every_kind_of_infarction(question):
    drops = infarction.drops_without(question, infarction.EACH_LEAD)
    whole = infarction.infarction_probability(question)
    assert drops["III"] == pytest.approx(whole - 2 / 5, abs=1e-6)
    assert drops["III"] > 0.3
    assert not drops.drop("III").any()


def test_a_territory_drops_with_all_its_leads(question):
    drops = infarction.drops_without(question, infarction.TERRITORIES)
    alone = infarction.drops_without(question, infarction.EACH_LEAD)
    assert drops["inferior"] == pytest.approx(alone["III"], abs=1e-6)
    assert not drops.drop("inferior").any()


def test_a_territory_has_the_leads_that_face_it():
    named = [lead for leads in infarction.TERRITORIES.values() for lead in leads]
    assert sorted([*named, "aVR"]) == sorted(CROPS)


def test_a_run_without_infarctions_says_so(monkeypatch, recording):
    predictor = SimpleNamespace(record=SimpleNamespace(classes=("normal", "covid_19")))
    monkeypatch.setattr(infarction, "Predictor", lambda run: predictor)
    with pytest.raises(InputError, match="mine answers with normal, covid_19: expected myocardial"):
        infarction.open_recording("mine", recording)
    assert not recording.with_suffix(".jpg").exists()
