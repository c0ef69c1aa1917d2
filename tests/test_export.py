"""Exported networks: they answer as Keras does, others can feed them, and they serve `predict`."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import change_record
from PIL import Image, ImageFilter, ImageOps
from scipy.special import softmax

from ecg_lib import cli
from ecg_lib.errors import InputError
from ecg_lib.models import DISPLAY_NAMES, OURS, PUBLISHED, build
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.runs.folder import MODEL
from ecg_lib.runs.predictions import read_predictions
from ecg_lib.serving import export
from ecg_lib.serving.explain import lead_occlusion
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.report import open_report

each_format = pytest.mark.parametrize("file_format", export.FORMATS)


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    """A run folder with its network in both formats."""
    run = shutil.copytree(finished_run.run_path, tmp_path_factory.mktemp("exported") / "run")
    for file_format in export.FORMATS:
        export.export(run, file_format)
    return run


@pytest.fixture(scope="module")
def in_keras(exported):
    return Predictor(exported, "keras")


@pytest.fixture(scope="module")
def in_onnx(exported):
    return Predictor(exported, "onnx")


@pytest.fixture
def page(pages_folder):
    return pages_folder / "normal" / "normal_0001.jpg"


def logits_of(run, file_format, crops):
    """What the exported file says of crops, asked as others would."""
    path = str(run / export.FORMATS[file_format])
    crops = crops.astype(np.float32)
    if file_format == "onnx":
        return onnxruntime.InferenceSession(path).run(["logits"], {"crops": crops})[0]
    answer = Interpreter(path).get_signature_runner()
    return np.concatenate([answer(crops=page[np.newaxis])["logits"] for page in crops])


def put_network(run, model):
    """Let another network be the run's."""
    model.save(run / MODEL)
    change_record(run, dict(zip(("height", "width"), model.input_shape[-2:], strict=True)))


def refusal(capsys, *arguments):
    """The one line that the command prints about what it cannot use."""
    assert cli.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


# --- The files ---


@each_format
def test_it_answers_as_keras_does(exported, in_keras, prepared_set, file_format):
    crops = np.array(prepared_set.crops)
    expected = in_keras.logits(crops)
    assert np.ptp(expected, axis=0).min() > 0.01
    np.testing.assert_allclose(logits_of(exported, file_format, crops), expected, atol=1e-4)
    one = logits_of(exported, file_format, crops[:1])
    np.testing.assert_allclose(one, expected[:1], atol=1e-4)


@pytest.mark.slow
@each_format
@pytest.mark.parametrize("name", (*PUBLISHED, *OURS))
def test_every_network_can_be_exported(run_copy, tiny, name, file_format):
    keras.utils.set_random_seed(1)
    model = build(name, (13, 32, 32), mean=20.0, variance=2500.0, **tiny[name])
    put_network(run_copy, model)
    path, difference = export.export(run_copy, file_format)
    assert path.is_file()
    assert difference <= export.TOLERANCE
    crops = np.random.default_rng(0).integers(0, 256, (3, 13, 32, 32), dtype=np.uint8)
    expected = model.predict_on_batch(crops)
    assert np.ptp(expected, axis=0).min() > 2e-4
    np.testing.assert_allclose(logits_of(run_copy, file_format, crops), expected, atol=1e-5)


def test_every_network_is_exported_in_a_test():
    assert {*PUBLISHED, *OURS, "testing"} == set(DISPLAY_NAMES)


def test_a_file_that_differs_is_not_kept(run_copy, monkeypatch):
    convert = export._layer_that_can_be_converted

    def clumsy(layer):
        is_first = isinstance(layer, keras.layers.Normalization)
        return keras.layers.Rescaling(0.9, name=layer.name) if is_first else convert(layer)

    before = set(run_copy.iterdir())
    monkeypatch.setattr(export, "_layer_that_can_be_converted", clumsy)
    with pytest.raises(InputError, match=r"was not written: its outputs differ .* at most 1e-04"):
        export.export(run_copy, "onnx")
    assert set(run_copy.iterdir()) == before


def test_volumes_are_pooled_as_keras_does():
    volumes = np.random.default_rng(0).normal(size=(2, 7, 6, 5, 3)).astype(np.float32)
    pooled = keras.layers.MaxPooling3D(2)(volumes)
    np.testing.assert_array_equal(export._MaxPooling3D(2)(volumes), pooled)


@pytest.mark.real
@each_format
def test_the_committed_network_says_the_same_of_real_pages(real_pages, tmp_path, file_format):
    run = shutil.copytree(Predictor().run, tmp_path / "run")
    export.export(run, file_format)
    pages = read_predictions(run).groupby("label")["file"].head(3)
    crops = []
    for file in pages:
        luma = read_luma(real_pages / file)
        found = detect(luma)
        crops.append(crop_leads(rectify(luma, found), found.boxes))
    crops = np.stack(crops)
    expected = Predictor(run, "keras").logits(crops)
    np.testing.assert_allclose(logits_of(run, file_format, crops), expected, atol=1e-4)


# --- What is said of them ---


@each_format
def test_who_follows_the_steps_gets_the_answer(exported, in_keras, pages_folder, file_format):
    """With Pillow and a runtime alone, given the boxes."""
    notes = json.loads((exported / export.NOTES).read_text(encoding="utf-8"))
    size = notes["width"], notes["height"]
    for page in sorted(pages_folder.glob("*/*_0002.jpg")):
        answer = in_keras.answer(page)
        image = Image.open(page)
        image.draft("L", image.size)
        luma = ImageOps.exif_transpose(image).convert("L")
        crops = []
        for box in answer.detection.boxes:
            inverted = luma.crop(box).point(lambda level: 255 - level)
            dilated = inverted.filter(ImageFilter.MaxFilter(3))
            crops.append(np.asarray(dilated.resize(size, Image.BICUBIC)))
        np.testing.assert_array_equal(crops, answer.crops)
        logits = logits_of(exported, file_format, np.stack([crops]))[0]
        if answer.refusal is None:
            shares = softmax(logits / notes["temperature"])
            assert dict(zip(notes["classes"], shares, strict=True)) == pytest.approx(
                answer.probabilities, abs=1e-4
            )


def test_the_onnx_file_says_the_same_by_itself(exported):
    notes = json.loads((exported / export.NOTES).read_text(encoding="utf-8"))
    content = onnx.load(exported / export.FORMATS["onnx"])
    said = {entry.key: entry.value for entry in content.metadata_props}
    assert said.keys() == notes.keys()
    for name, note in notes.items():
        assert (said[name] if isinstance(note, str) else json.loads(said[name])) == note
    assert notes["notice"] == "Research software, not a diagnosis."
    (crops,), (logits,) = content.graph.input, content.graph.output
    assert (crops.name, logits.name) == ("crops", "logits")
    assert crops.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_ink_only_is_one_more_step(in_keras, monkeypatch):
    steps = export.usage(in_keras)["steps"]
    config = replace(in_keras.record.config, ink_only=True)
    monkeypatch.setattr(in_keras, "record", replace(in_keras.record, config=config))
    (more,) = set(export.usage(in_keras)["steps"]) - set(steps)
    assert "keep_ink" in more


# --- ONNX Runtime serves `predict` ---


def test_both_runtimes_give_the_same_answers(in_keras, in_onnx, pages_folder):
    for page in sorted(pages_folder.glob("*/*_0001.jpg")):
        expected, answer = in_keras.answer(page), in_onnx.answer(page)
        assert answer.out_of_distribution_score is expected.out_of_distribution_score is None
        assert (answer.refusal is None) == (expected.refusal is None)
        if answer.refusal is None:
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_the_same_leads_drive_the_answer(in_keras, in_onnx, page, tmp_path):
    answer = in_onnx.answer(page)
    expected, drops = (
        lead_occlusion(predictor.logits, answer.crops) for predictor in (in_keras, in_onnx)
    )
    np.testing.assert_allclose(drops, expected, atol=1e-5)
    assert np.ptp(drops) > 1e-3
    with open_report(tmp_path / "report.html", in_onnx) as add:
        add(answer)
    assert (tmp_path / "report.html").stat().st_size > 50_000


def test_tensorflow_is_not_needed(exported, page, tmp_path):
    """Nor are the weights, for answers as text, as JSON, and as a table."""
    run = shutil.copytree(exported, tmp_path / "run")
    (run / MODEL).unlink()
    arguments = ["predict", str(page), "--model", str(run), "--runtime", "onnx"]
    code = (
        "import sys; from ecg_lib import cli\n"
        f"text = cli.main({arguments})\n"
        f"others = cli.main({[*arguments, '--json', '--csv', str(tmp_path / 'table.csv')]})\n"
        "print(text, others, *{'tensorflow', 'keras'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stderr.splitlines()[-1] == "0 0"
    assert f"{page}: " in done.stdout
    assert str(page) in (tmp_path / "table.csv").read_text(encoding="utf-8")


def test_a_run_that_was_not_exported_says_how(run_copy, page, capsys):
    line = refusal(capsys, "predict", page, "--model", run_copy, "--runtime", "onnx")
    assert f"python -m ecg_lib export {run_copy} --format onnx" in line


def test_a_file_of_another_network(exported, run_copy, page, capsys):
    put_network(run_copy, build("testing", (13, 16, 16)))
    shutil.copy(exported / "model.onnx", run_copy)
    line = refusal(capsys, "predict", page, "--model", run_copy, "--runtime", "onnx")
    assert "was not exported of the network beside it" in line


def test_a_file_that_is_no_network(run_copy, page, capsys):
    (run_copy / "model.onnx").write_bytes(b"no network")
    line = refusal(capsys, "predict", page, "--model", run_copy, "--runtime", "onnx")
    assert "model.onnx cannot be read" in line


# --- The command ---


def test_the_command_says_how_close_it_is(run_copy, capsys):
    assert cli.main(["export", str(run_copy), "--format", "onnx"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert float(first.split(": ")[1]) <= export.TOLERANCE
    assert str(run_copy / "model.onnx") in last and str(run_copy / "model.json") in last
    assert {path.name for path in run_copy.iterdir()} >= {"model.onnx", "model.json"}


def test_an_unknown_format(run_copy, capsys):
    assert "expected one of onnx, litert" in refusal(capsys, "export", run_copy, "--format", "pb")


def test_a_folder_that_cannot_be_written_to(run_copy, capsys):
    (run_copy / "model.onnx").mkdir()
    line = refusal(capsys, "export", run_copy, "--format", "onnx")
    assert "cannot be written" in line


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("onnxruntime", ("predict", "{page}", "--runtime", "onnx", "--model", "{run}")),
        ("onnxruntime", ("export", "{run}", "--format", "onnx")),
        ("tf2onnx", ("export", "{run}", "--format", "onnx")),
        ("ai_edge_litert.interpreter", ("export", "{run}", "--format", "litert")),
    ],
)
def test_what_is_not_installed(exported, page, monkeypatch, capsys, module, arguments):
    monkeypatch.setitem(sys.modules, module, None)
    filled = [argument.format(run=exported, page=page) for argument in arguments]
    line = refusal(capsys, *filled)
    assert f"{module} is not installed" in line and "pip install .[export]" in line
