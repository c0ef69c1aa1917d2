"""Answers for single pages: what is said, what is refused, and what the command prints."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, change_record
from PIL import Image
from scipy.special import softmax

import ecg_lib
from ecg_lib import cli
from ecg_lib.data.classes import CLASSES, DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import fit_temperature
from ecg_lib.models import load
from ecg_lib.pages.detection import detect
from ecg_lib.pages.leads import CROPS
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import LOGIT, PREDICTIONS, read_predictions
from ecg_lib.serving.answers import describe, find_files
from ecg_lib.serving.predictor import MIN_PAGES, Predictor
from ecg_lib.training.train import train


@pytest.fixture(scope="session")
def predictor(finished_run):
    return Predictor(finished_run.run_path)


@pytest.fixture
def page(pages_folder):
    return pages_folder / "normal" / "normal_0001.jpg"


@pytest.fixture
def mixed(page, tmp_path):
    """A folder with a page, a file that is none, and a picture that is no ECG."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    shutil.copy(page, folder / "a page.jpg")
    (folder / "broken.jpg").write_bytes(page.read_bytes()[:900])
    Image.new("L", (800, 600), 255).save(folder / "empty.png")
    (folder / "notes.txt").touch()
    return folder


def refusal(capsys, *arguments):
    """The one line that the command prints about what it cannot use."""
    assert cli.main(["predict", *map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


# --- Answers ---


def test_the_answer_is_what_the_run_says_of_the_page(finished_run, predictor, pages_folder):
    """Read by itself, each scored page gets the logits in `predictions.csv`, calibrated."""
    predictions = read_predictions(finished_run.run_path)
    temperature = fit_temperature(predictions[predictions["split"] == "validation"])
    for _, row in predictions[predictions["split"] == "test"].iterrows():
        answer = predictor.answer(pages_folder / row["file"])
        expected = softmax(row.filter(like=LOGIT).to_numpy(float) / temperature)
        if answer.refusal is None:
            np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-4)
            assert list(answer.probabilities) == list(CLASSES)
            assert answer.label == CLASSES[expected.argmax()]
            assert answer.confidence == pytest.approx(expected.max(), abs=1e-4)
        assert answer.crops.shape == (len(CROPS), 16, 16)


def test_a_page_is_cropped_as_the_training_pages_were(configure, page):
    config = configure(width=24, ink_only=True, epochs=1)
    inputs = open_inputs(config)
    answer = Predictor(train(config, inputs)).answer(page)
    pages = inputs.prepared.pages
    (row,) = pages.index[pages["file"] == "normal/normal_0001.jpg"]
    assert answer.crops.shape == (len(CROPS), 16, 24)
    np.testing.assert_array_equal(answer.crops, inputs.prepared.crops[row])


@pytest.mark.parametrize(
    ("with_answer", "others", "caution"),
    [
        (True, CLASSES, None),
        (False, [], "the network was trained on no labelled page of the layout"),
        (True, ["covid_19", "history_of_mi"], "of the "),
        (False, ["covid_19"], "of the 12 labelled "),
    ],
)
def test_what_the_layout_may_have_told_is_said(
    predictor, page, monkeypatch, with_answer, others, caution
):
    answer = predictor.answer(page)
    layout, label = answer.detection.layout, answer.label
    seen = dict.fromkeys(others, 12) | {label: 12 * with_answer}
    layouts = {layout: seen} if others else {}
    monkeypatch.setattr(predictor, "record", replace(predictor.record, layouts=layouts))
    answer = predictor.answer(page)
    assert answer.refusal is None
    if caution is None:
        assert answer.caution is None
        assert "caution" not in describe(answer)
        return
    assert answer.caution.startswith(caution)
    assert layout in answer.caution
    assert describe(answer).endswith(f"; caution: {answer.caution}")
    if others:
        # Of an answer that the layout never had, only this is said.
        missing = [name for name in CLASSES if not seen.get(name)] if with_answer else [label]
        for name in CLASSES:
            assert (DISPLAY_NAMES[name] in answer.caution) == (name in missing)
        assert ("the layout alone may have decided" in answer.caution) == with_answer


def test_an_older_record_gives_no_caution(predictor, page, monkeypatch):
    monkeypatch.setattr(predictor, "record", replace(predictor.record, layouts=None))
    assert predictor.answer(page).caution is None


def test_the_only_class_of_a_layout_is_no_answer(predictor, page, monkeypatch):
    answer = predictor.answer(page)
    other = next(name for name in CLASSES if name != answer.label)
    layout = answer.detection.layout

    def answer_after(seen):
        record = replace(predictor.record, layouts={layout: dict.fromkeys(CLASSES, 0) | seen})
        monkeypatch.setattr(predictor, "record", record)
        return predictor.answer(page)

    refused = answer_after({answer.label: MIN_PAGES})
    assert (
        f"all {MIN_PAGES} labelled training pages in its layout, {layout}, were" in refused.refusal
    )
    assert refused.label is refused.probabilities is refused.caution is None
    assert answer_after({other: MIN_PAGES}).label == answer.label
    assert answer_after({answer.label: MIN_PAGES, other: 1}).label == answer.label
    assert answer_after({answer.label: MIN_PAGES - 1}).label == answer.label


def test_a_class_of_layouts_of_its_own_is_no_answer_in_any_layout(predictor, page, monkeypatch):
    answer = predictor.answer(page)
    layout, name = answer.detection.layout, answer.label
    other = next(one for one in CLASSES if one != name)

    def answer_after(alone, shared):
        layouts = {"another": {name: alone}, layout: {name: shared, other: 500}}
        monkeypatch.setattr(predictor, "record", replace(predictor.record, layouts=layouts))
        return predictor.answer(page)

    refused = answer_after(alone=18, shared=2)
    assert "18 of the 20 labelled training pages of that class were in layouts" in refused.refusal
    assert refused.label is None
    assert answer_after(alone=18, shared=3).label == name
    assert answer_after(alone=MIN_PAGES - 1, shared=0).label == name


def test_the_committed_network_never_says_covid_for_the_landscape_layout(drawn, tmp_path):
    """Its 106 training pages in that layout were all COVID-19."""
    page = tmp_path / "page.png"
    Image.fromarray(drawn["landscape_3x4_with_rhythm"][0]).save(page)
    answer = Predictor().answer(page)
    assert answer.label != "covid_19"
    said = answer.refusal or answer.caution
    assert "106 " in said and "landscape_3x4_with_rhythm" in said


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"mm_per_second": 50.0}, "it is drawn at 50 mm/s, and the network was trained on 25 mm/s"),
        ({"mm_per_mv": 5.0}, "it is drawn at 5 mm/mV, and the network was trained on 10 mm/mV"),
        (
            {"order_assumed": True},
            "its lead names could not be read, and the standard order is assumed",
        ),
        ({"turned": 180}, "it was turned by 180 degrees clockwise to be read"),
        ({"mm_per_second": 24.6, "mm_per_mv": 10.3}, None),
    ],
)
def test_an_unusual_scale_is_said(predictor, page, monkeypatch, seen, words):
    usual = predictor.answer(page).caution or ""
    monkeypatch.setattr("ecg_lib.pages.reading.detect", lambda luma: replace(detect(luma), **seen))
    caution = predictor.answer(page).caution or ""
    assert caution == (usual if words is None else "; ".join(filter(None, [usual, words])))


def test_every_page_of_a_file_is_answered(finished_run, page, tmp_path, capsys):
    fax = tmp_path / "fax.tif"
    with Image.open(page) as first, Image.new("L", (800, 600), 255) as blank:
        first.save(fax, save_all=True, append_images=[blank])
    arguments = ["predict", str(fax), "--model", str(finished_run.run_path)]
    table = tmp_path / "answers.csv"
    assert cli.main([*arguments, "--csv", str(table), "--report", str(tmp_path / "r.html")]) == 0
    shown = capsys.readouterr().out
    assert f"{fax}#1: " in shown and f"no answer: {fax}#2: " in shown
    assert "1 of 2 pages answered" in shown
    assert len(table.read_text(encoding="utf-8").splitlines()) == 3
    assert "fax.tif#2" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_read_is_refused(predictor, mixed):
    broken = predictor.answer(mixed / "broken.jpg")
    empty = predictor.answer(mixed / "empty.png")
    assert "broken.jpg cannot be decoded" in broken.refusal
    assert "empty.png: the picture is blank" in empty.refusal
    assert broken.detection is empty.detection is None


def test_predict_takes_a_path_or_several(finished_run, page):
    (answer,) = ecg_lib.predict(page, finished_run.run_path)
    again = ecg_lib.predict([str(page), page.parent], model=finished_run.run_path)
    assert [found.file for found in again] == sorted(page.parent.glob("*.jpg"))
    assert again[0].probabilities == answer.probabilities


# --- Files ---


def test_folders_patterns_and_files(mixed):
    names = ["a page.jpg", "broken.jpg", "empty.png"]
    assert [path.name for path in find_files([mixed])] == names
    assert [path.name for path in find_files([f"{mixed}/*.jpg", mixed])] == names
    assert find_files(["absent.jpg"])[0].name == "absent.jpg"


def test_a_name_with_brackets_is_a_name(mixed):
    named = (mixed / "empty.png").rename(mixed / "scan [2].png")
    assert find_files([named]) == [named]


def test_nothing_found(tmp_path):
    with pytest.raises(InputError, match="holds no pages"):
        find_files([tmp_path])
    with pytest.raises(InputError, match=r"\*\.png matches no file"):
        find_files([tmp_path / "*.png"])
    with pytest.raises(InputError, match="'' names no page"):
        find_files([""])


def test_a_name_that_is_too_long_is_refused(capsys):
    for name in ("x" * 300, "*" * 300):
        assert "cannot be looked up: File name too long" in refusal(capsys, f"{name}.jpg")


# --- The run ---


def test_no_run(tmp_path, page, capsys):
    assert "holds no finished run" in refusal(capsys, page, "--model", tmp_path)


def test_a_run_without_weights_says_where_to_get_some(run_copy, page, capsys):
    (run_copy / MODEL).unlink()
    line = refusal(capsys, page, "--model", run_copy)
    assert "python -m ecg_lib run" in line and DEFAULT_RUN in line


def test_a_run_answers_without_its_predictions(run_copy, page, capsys):
    (run_copy / PREDICTIONS).unlink()
    assert cli.main(["predict", str(page), "--model", str(run_copy)]) == 0


def test_an_older_run_without_predictions(run_copy, page, capsys):
    change_record(run_copy, answering=None)
    (run_copy / PREDICTIONS).unlink()
    assert "holds no predictions.csv" in refusal(capsys, page, "--model", run_copy)


def test_weights_of_another_run(run_copy, page, capsys):
    with (run_copy / MODEL).open("ab") as file:
        file.write(b"more")
    assert "model.keras is not the file that the run" in refusal(capsys, page, "--model", run_copy)


def test_an_older_run_with_predictions_of_another(run_copy, page, capsys):
    """They say how sure the network may be, and what it refuses."""
    change_record(run_copy, answering=None)
    with (run_copy / PREDICTIONS).open("ab") as file:
        file.write(b"\n")
    line = refusal(capsys, page, "--model", run_copy)
    assert "predictions.csv is not the file that the run.json beside it names" in line


def test_boxes_that_depend_on_the_label(run_copy, page, capsys):
    change_record(run_copy, {"protocol": "published"})
    assert "boxes depend on the label" in refusal(capsys, page, "--model", run_copy)


def test_a_file_that_holds_code_is_not_loaded(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x)]).save(path)
    with pytest.raises(InputError, match="holds code, which is not run") as refused:
        load(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_is_no_network(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK not quite")
    with pytest.raises(InputError, match="cannot be read"):
        load(path)


# --- The command ---


def test_one_bad_page_does_not_stop_the_rest(finished_run, mixed, tmp_path, capsys):
    table = tmp_path / "answers.csv"
    model = str(finished_run.run_path)
    assert cli.main(["predict", str(mixed), "--model", model, "--csv", str(table)]) == 0
    shown = capsys.readouterr()
    assert "no answer: " in shown.out and "13 leads found" in shown.out
    assert "1 of 3 pages answered" in shown.out
    assert "Research software, not a diagnosis." in shown.out
    assert "3/3" in shown.err
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["answered"] for row in rows] == ["True", "False", "False"]
    shares = [float(rows[0][f"p_{name}"]) for name in CLASSES]
    assert sum(shares) == pytest.approx(1)
    assert float(rows[0]["confidence"]) == max(shares)
    assert "broken.jpg" in rows[1]["refusal"] and rows[1]["p_normal"] == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, every file's name is Unicode")
def test_a_name_that_is_no_utf_8_is_escaped(finished_run, page, tmp_path):
    folder = tmp_path / "latin 1"
    folder.mkdir()
    shutil.copy(page, os.fsencode(folder) + b"/caf\xe9.jpg")
    shutil.copy(page, folder / "z.jpg")
    outputs = {option: tmp_path / f"answers.{option}" for option in ("csv", "report")}
    options = [f"--{option}={path}" for option, path in outputs.items()]
    command = ["-m", "ecg_lib", "predict", folder, "--model", finished_run.run_path, *options]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, *(path.read_text(encoding="utf-8") for path in outputs.values())):
        assert r"caf\udce9.jpg" in text and "z.jpg" in text


def test_json(finished_run, mixed, capsys):
    assert cli.main(["predict", str(mixed), "--model", str(finished_run.run_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"]["protocol"] == "plain"
    assert set(said["model"]["figures"]["accuracy"]) == {"value", "low", "high"}
    answered, *others = said["pages"]
    assert tuple(answered["boxes"]) == CROPS
    assert answered["homography"] == np.eye(3).tolist()
    assert answered["label"] in CLASSES
    assert {tuple(page) for page in others} == {tuple(answered)}
    assert {page["boxes"] for page in others} == {None}


def test_no_page_that_can_be_answered_for(finished_run, mixed, capsys):
    line = refusal(capsys, mixed / "empty.png", "--model", finished_run.run_path)
    assert "no page could be answered; the first: " in line and "empty.png" in line


def test_files_that_cannot_be_written(finished_run, page, tmp_path, capsys):
    for option in ("--csv", "--report"):
        line = refusal(capsys, page, "--model", finished_run.run_path, option, tmp_path)
        assert f"{option} {tmp_path} is a folder: expected a file" in line
        missing = tmp_path / "none" / "output"
        line = refusal(capsys, page, "--model", finished_run.run_path, option, missing)
        assert f"{missing} cannot be written: No such file or directory" in line


def test_outputs_overwrite_no_input_and_not_each_other(run_copy, page, tmp_path, capsys):
    own = Path(shutil.copy(page, tmp_path / "page.jpg"))
    link = tmp_path / "link.html"
    link.symlink_to(own)
    before = own.read_bytes(), (run_copy / PREDICTIONS).read_bytes()
    for option, output in (("--csv", own), ("--report", link), ("--csv", run_copy / PREDICTIONS)):
        line = refusal(capsys, own, "--model", run_copy, option, output)
        assert f"{option} {output} is read by this command: expected another file" in line
    both = tmp_path / "new"
    line = refusal(capsys, own, "--model", run_copy, "--csv", both, "--report", both)
    assert f"--report {both} is the file of --csv as well" in line
    assert not both.exists()
    assert (own.read_bytes(), (run_copy / PREDICTIONS).read_bytes()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is full")
@pytest.mark.parametrize("option", ["--csv", "--report"])
def test_a_full_disk_ends_in_one_sentence(finished_run, page, capsys, option):
    line = refusal(capsys, page, "--model", finished_run.run_path, option, "/dev/full")
    assert line == "ecg_lib: /dev/full cannot be written: No space left on device"


# --- The committed network ---


def test_the_committed_network_is_the_default(pages_folder, tmp_path, monkeypatch):
    """It is found from anywhere, whatever lies there, and answers for a drawn page."""
    (tmp_path / DEFAULT_RUN).mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_train_model.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    page = pages_folder / "abnormal_heartbeat" / "abnormal_heartbeat_0002.jpg"
    (answer,) = ecg_lib.predict(page)
    assert answer.refusal is None
    assert answer.crops.shape == (13, 64, 64)
    assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.real
def test_the_committed_network_says_of_real_pages_what_it_said(real_pages):
    predictor = Predictor()
    predictions = read_predictions(predictor.run)
    classes = predictor.record.classes
    for label, row in predictions.groupby("label").first().iterrows():
        answer = predictor.answer(real_pages / row["file"])
        logits = row.filter(like=LOGIT).to_numpy(float)
        expected = softmax(logits / predictor.answering.temperature)
        if label == "covid_19":
            # All training pages in that layout were COVID-19.
            assert expected.argmax() == classes.index("covid_19")
            assert "answer COVID-19 for the layout alone" in answer.refusal
        else:
            np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=0.02)
            assert answer.label == classes[expected.argmax()]


def test_answering_reports_nothing_and_leaves_nothing_behind(pages_folder, tmp_path):
    """ONNX Runtime would report its use, for which it leaves a file in the temporary folder."""
    page = next((pages_folder / "normal").glob("*.jpg"))
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment = environment | {"TMPDIR": str(tmp_path)}
    code = f"import ecg_lib; ecg_lib.predict({str(page)!r}, runtime='onnx')"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


# --- Other people's pages ---


@pytest.mark.real
def test_a_page_saved_smaller_keeps_its_class(cases):
    folder = cases / "24_page_smaller"
    whole, smaller = ecg_lib.predict([folder / "page.png", folder / "page_60_percent.jpg"])
    assert whole.label == smaller.label != "covid_19"


@pytest.mark.real
def test_a_page_in_cabrera_order_is_read_by_its_printed_names(cases):
    (answer,) = ecg_lib.predict(cases / "28_page_cabrera" / "cabrera_6x2.png")
    assert answer.detection.layout.startswith("cabrera_6x2")
    limb_leads = dict(zip(CROPS[:6], answer.detection.boxes, strict=False))
    from_top = sorted(limb_leads, key=lambda lead: limb_leads[lead].top)
    assert from_top == ["aVL", "I", "aVR", "II", "aVF", "III"]
