"""Recordings as teachers: what is drawn of them, what they say of a class, and that they teach."""

import shutil
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import write_recording
from scipy.special import expit, log_softmax, logsumexp

from ecg_lib.data.classes import CLASSES
from ecg_lib.errors import InputError
from ecg_lib.files import sha256
from ecg_lib.models import build, load
from ecg_lib.runs import teachers
from ecg_lib.runs.folder import MODEL, STATEMENTS_HEAD, is_finished
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.network import load_network
from ecg_lib.runs.record import read_record, write_record
from ecg_lib.training.checkpoints import Checkpoints
from ecg_lib.training.lessons import as_taught, plan_lessons
from ecg_lib.training.teaching import (
    LEANING,
    STATEMENTS_SHARE,
    guessing_loss,
    lean_on_statements,
    teaching_loss,
    with_statements,
)
from ecg_lib.training.train import train

SAID = ["NORM", "MI", "MI CD", "HYP", ""]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Recordings of seven patients of all parts; one of a training patient has no samples."""
    folder = tmp_path_factory.mktemp("recordings")
    patients = [p for p in range(100) if teachers.part_of(p) == "train"][:5]
    patients += [
        next(p for p in range(100) if teachers.part_of(p) == part) for part in ("test", "choice")
    ]
    rows = []
    for number, patient in enumerate(patients):
        write_recording(folder, f"r{number}", seed=number)
        rows.append((f"r{number}", patient, np.resize(SAID, 7)[number], "AFIB SR"))
    (folder / "r3.dat").unlink()
    pd.DataFrame(rows, columns=teachers.COLUMNS).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture
def config(configure_in, recordings, tmp_path):
    return replace(configure_in(tmp_path), teachers=str(recordings), recipe="varied", epochs=2)


def test_parts_are_of_patients_and_of_their_shares():
    parts = pd.Series([teachers.part_of(patient) for patient in range(4000)])
    assert parts.value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.75, "choice": 0.1, "test": 0.15}, abs=0.02
    )


def test_a_recording_excludes_classes():
    table = pd.DataFrame({"superclasses": SAID})
    allowed = [
        {name for name, right in zip(CLASSES, row, strict=True) if right}
        for row in teachers.allowed_classes(table, CLASSES)
    ]
    infarctions = set(teachers.INFARCTIONS)
    assert allowed == [
        {"normal"},
        infarctions,
        infarctions,
        infarctions | {"abnormal_heartbeat"},
        set(CLASSES) - {"covid_19"},
    ]
    # Of two classes that it excludes, neither is more right than the other.
    assert teachers.allowed_classes(table[:1], ["abnormal_heartbeat", "covid_19"]).all()


def test_statements_are_grouped():
    table = pd.DataFrame({"superclasses": ["MI CD"], "scp_statements": ["ALMI SR CLBBB"]})
    (row,) = teachers.statements_of(table)
    said = {name for name, has in zip(teachers.STATEMENTS, row, strict=True) if has}
    assert said == {
        *("MI", "CD", "anterior infarction", "lateral infarction", "left bundle branch block")
    }


def test_no_patient_that_is_tested_on_is_drawn_and_others_once(config, monkeypatch):
    inputs = open_inputs(config)
    pages = teachers.STYLED_PAGES + len(teachers.SMALL_LAYOUTS)
    assert {part: len(of_part.crops) for part, of_part in inputs.teachers.items()} == {
        "train": 4 * pages,
        "choice": pages,
    }
    drawn = inputs.teachers["train"]
    assert drawn.crops.shape[1:] == inputs.prepared.crops.shape[1:]
    assert drawn.crops.dtype == np.uint8 and drawn.crops.max(axis=(1, 2, 3)).min() > 0
    # Layouts and styles differ.
    assert len(np.unique(drawn.crops[:pages], axis=0)) == pages
    monkeypatch.setattr(teachers, "draw_teacher", None)
    again = open_inputs(config)
    np.testing.assert_array_equal(again.teachers["train"].crops, drawn.crops)
    assert again.run_key == inputs.run_key


def test_without_wfdb_nothing_is_drawn_and_the_package_is_named(recordings, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(InputError) as caught:
        teachers.draw_teacher(recordings / "r0.hea", config.crop_options)
    assert str(caught.value) == (
        f"{recordings} cannot be read without the package wfdb, which is not installed: "
        'pip install "wfdb<4.2"'
    )


def test_other_labels_make_another_run(recordings):
    before = teachers.teachers_hash(recordings, {})
    path = recordings / "labels.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("HYP", "MI"), encoding="utf-8")
    after = teachers.teachers_hash(recordings, {})
    path.write_text(text, encoding="utf-8")
    assert before != after and before == teachers.teachers_hash(recordings, {})


def test_unusable_labels_are_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.dat file"):
        teachers.read_statements(tmp_path)
    (tmp_path / "r0.dat").touch()
    with pytest.raises(InputError, match=r"labels\.csv cannot be read"):
        teachers.read_statements(tmp_path)
    (tmp_path / "labels.csv").write_text("record,patient_id\nr0,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the columns superclasses, scp_statements"):
        teachers.read_statements(tmp_path)
    row = "record,patient_id,superclasses,scp_statements\nr0,,NORM,SR\n"
    (tmp_path / "labels.csv").write_text(row, encoding="utf-8")
    with pytest.raises(InputError, match="'' for a patient_id"):
        teachers.read_statements(tmp_path)
    for name in ("../r0", ""):
        (tmp_path / "labels.csv").write_text(row.replace("r0,", f"{name},1"), encoding="utf-8")
        with pytest.raises(InputError, match=f"'{name}' for a record: expected the name of"):
            teachers.read_statements(tmp_path)


def test_the_loss_is_that_of_the_set_and_of_known_statements():
    rng = np.random.default_rng(0)
    number = len(teachers.STATEMENTS)
    outputs = rng.normal(0, 2, (3, 5 + number)).astype(np.float32)
    labels = np.zeros_like(outputs)
    labels[0] = as_taught(np.array([2]), 5)[0]
    labels[1, [2, 3]] = 1
    labels[2, :5] = 1
    labels[1:, 6] = 1
    found = keras.ops.convert_to_numpy(teaching_loss(5)(labels, outputs))
    shares = log_softmax(outputs[:, :5], axis=1)
    chances = expit(outputs[:, 5:])
    errors = -np.log(np.where(labels[:, 5:] == 1, chances, 1 - chances)).sum(axis=1)
    assert found[0] == pytest.approx(-shares[0, 2], rel=1e-5)
    expected = -logsumexp(shares[1, [2, 3]]) + STATEMENTS_SHARE * errors[1]
    assert found[1] == pytest.approx(expected, rel=1e-4)
    assert found[2] == pytest.approx(STATEMENTS_SHARE * errors[2], rel=1e-4)


def test_the_loss_of_a_guess():
    """On a page, and on recordings of which every second one has one of the statements."""
    labels = np.zeros((3, 5 + len(teachers.STATEMENTS)), np.float32)
    labels[0] = as_taught(np.array([2]), 5)[0]
    labels[1:, [2, 3]] = 1
    labels[1, 6] = 1
    expected = np.log(5) + 2 * (np.log(5 / 2) + STATEMENTS_SHARE * np.log(2))
    assert guessing_loss(labels, 5) == pytest.approx(expected / 3, rel=1e-5)


def test_infarction_and_normal_lean_on_the_statements_and_nothing_else_changes():
    model = with_statements(build("testing", (13, 16, 16), 5))
    crops = np.random.default_rng(0).integers(0, 256, (4, 13, 16, 16), np.uint8)
    before = model.predict(crops, verbose=0)
    lean_on_statements(model, CLASSES)
    after = model.predict(crops, verbose=0)
    normal, infarction = (before[:, 5 + teachers.STATEMENTS.index(name)] for name in ("NORM", "MI"))
    said = LEANING / 2 * (infarction - normal)
    added = {"normal": -said, "myocardial_infarction": said, "history_of_mi": said}
    expected = np.stack([added.get(name, 0 * said) for name in CLASSES], axis=1)
    np.testing.assert_allclose(after[:, :5] - before[:, :5], expected, rtol=1e-5, atol=1e-5)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_array_equal(after[:, 5:], before[:, 5:])


def test_a_run_without_infarctions_or_normal_leans_on_nothing():
    model = with_statements(build("testing", (13, 16, 16), 2))
    before = model.get_weights()
    lean_on_statements(model, ["abnormal_heartbeat", "covid_19"])
    for weights, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_pages_and_recordings_count_alike(config):
    inputs = open_inputs(config)
    lessons = plan_lessons(config, inputs, 0.5)
    labels = lessons.training.labels[lessons.order.reshape(-1, lessons.batch_size)]
    assert ((labels[..., -1] == teachers.UNKNOWN).sum(axis=1) == config.batch_size).all()
    assert lessons.batch_size == 2 * config.batch_size
    labels, weights = lessons.validation.labels, lessons.validation.weights
    pages = labels[:, -1] == teachers.UNKNOWN
    assert pages.sum() == len(inputs.rows["validation"])
    assert weights[pages].sum() == pytest.approx(weights[~pages].sum())
    assert weights.mean() == pytest.approx(1)


def test_a_training_with_teachers(config, caplog):
    config = replace(config, learning_rate=1e-9)
    inputs = open_inputs(config)
    run = train(config, inputs)
    assert "nothing was learnt: the training loss is" in caplog.text
    record = read_record(run)
    assert run.name == config.run_name and "-teachers" in run.name
    assert record.config.teachers == inputs.run_key.config.teachers != config.teachers
    assert "drawn recordings" in record.recipe and "lean on the statements" in record.recipe
    crops = np.array(inputs.prepared.crops[:3])
    assert load(run / MODEL).predict(crops, verbose=0).shape == (3, len(inputs.classes))
    statements = load(run / STATEMENTS_HEAD).predict(crops, verbose=0)
    assert statements.shape == (3, len(teachers.STATEMENTS))
    assert record.statements_sha256 == sha256(run / STATEMENTS_HEAD)
    assert train(config, inputs) == run


def test_the_head_belongs_to_the_record(config, tmp_path):
    run = shutil.copytree(train(config, open_inputs(config)), tmp_path / "run")
    record = read_record(run)
    older = replace(record, statements_sha256=None)
    assert list(load_network(run, older).output) == ["logits", "statements"]
    other = load(run / STATEMENTS_HEAD)
    other.layers[-1].set_weights([weights + 1 for weights in other.layers[-1].get_weights()])
    other.save(run / STATEMENTS_HEAD)
    with pytest.raises(InputError, match=r"statements\.keras is not the file that the run\.json"):
        load_network(run, record)
    assert not is_finished(run, record.key)
    (run / STATEMENTS_HEAD).unlink()
    with pytest.raises(InputError, match=r"statements\.keras is missing: expected"):
        load_network(run, record)
    write_record(run, older)
    assert is_finished(run, record.key)
    assert list(load_network(run, older).output) == ["logits"]


def test_an_interrupted_training_with_teachers_is_resumed_exactly(config, monkeypatch, tmp_path):
    """The same weights as without the interruption, statements included."""
    inputs = open_inputs(config)
    whole = load(train(config, inputs) / STATEMENTS_HEAD).get_weights()
    again = replace(config, results=str(tmp_path / "again"))

    class KilledError(Exception):
        pass

    usual = Checkpoints.on_epoch_end

    def killed(self, epoch, logs=None):
        usual(self, epoch, logs)
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(Checkpoints, "on_epoch_end", killed)
        train(again, inputs)
    resumed = train(again, inputs)
    assert read_record(resumed).resumed
    for value, expected in zip(load(resumed / STATEMENTS_HEAD).get_weights(), whole, strict=True):
        np.testing.assert_array_equal(value, expected)
