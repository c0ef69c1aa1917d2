"""Explanations explain: on models and pages of which it is known what the answer hangs on."""

import hashlib
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from unittest.mock import Mock

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import change_record
from PIL import Image
from scipy.special import softmax
from scipy.stats import spearmanr

from benchmarks import deletion
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import temperature_of
from ecg_lib.models import MODELS, build
from ecg_lib.models.layers import logits, standardised_crops
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_exchanged_grey
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS, Box
from ecg_lib.runs.folder import MODEL, read_record
from ecg_lib.runs.network import mean_network
from ecg_lib.runs.predictions import read_predictions
from ecg_lib.serving import explain

COMMITTED = "results/models/lead_attention"

each_crop = pytest.mark.parametrize("place", range(13), ids=CROPS)
each_explanation = pytest.mark.parametrize("explanation", ["occlusion", "gradient"])


def by_crop(explanation, model, crops, class_index=None):
    if explanation == "occlusion":
        return explain.lead_occlusion(model.predict_on_batch, crops, class_index)
    return explain.gradient_by_crop(model, crops, class_index)[1]


@pytest.fixture(scope="module")
def crops(prepared_set):
    return np.array(prepared_set.crops)


@pytest.fixture(scope="module")
def trained(prepared_set, crops, tiny):
    """A small CNN 2D that knows the drawn pages by heart."""
    keras.utils.set_random_seed(0)
    model = build(
        "cnn_2d", crops.shape[1:], mean=crops.mean(), variance=crops.var(), **tiny["cnn_2d"]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    labels = prepared_set.pages["class"].astype("category").cat.codes.to_numpy()
    model.fit(crops, labels, batch_size=len(crops), epochs=80, verbose=0)
    assert (explain.probabilities(model, crops).argmax(axis=1) == labels).mean() > 0.9
    return model


# --- Back on the page ---


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
@each_crop
def test_a_hot_pixel_lands_in_its_crop_s_box(drawn, layout, place):
    luma, boxes = drawn[layout]
    maps = np.zeros((13, 8, 8))
    maps[place, 2, 5] = 1
    painted = explain.paint(maps, boxes, luma.shape[::-1])
    assert painted.shape == luma.shape
    rows, columns = np.nonzero(painted)
    box = Box(*boxes[place])
    # Row 2 and column 5 of 8, within a page pixel.
    expected = (box.left + 5 / 8 * box.width, box.left + 6 / 8 * box.width)
    assert (columns.min(), columns.max() + 1) == pytest.approx(expected, abs=1)
    expected = (box.top + 2 / 8 * box.height, box.top + 3 / 8 * box.height)
    assert (rows.min(), rows.max() + 1) == pytest.approx(expected, abs=1)


def test_a_value_fills_its_box_and_shared_boxes_add_up():
    boxes = [(0, 0, 4, 2), (4, 0, 6, 2), (0, 0, 4, 2)]
    painted = explain.paint([1, -2, 3], boxes, (8, 3))
    np.testing.assert_array_equal(painted[:2], [[4, 4, 4, 4, -2, -2, 0, 0]] * 2)
    assert not painted[2].any()


def test_a_box_over_the_edge_keeps_its_place():
    maps = np.arange(4.0).reshape(1, 1, 4)
    assert explain.paint(maps, [(-2, 0, 2, 1)], (3, 1)).tolist() == [[2, 3, 0]]
    assert explain.paint(maps, [(1, 0, 5, 1)], (3, 1)).tolist() == [[0, 0, 1]]
    assert not explain.paint(maps, [(5, 5, 9, 9)], (3, 3)).any()


@pytest.fixture(scope="module")
def rotated(drawn):
    """A drawn page rotated by 3 degrees, what is detected on it, and the affine map to it."""
    luma, _ = drawn["standard_3x4_with_rhythm"]
    height, width = luma.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 3, 1)
    photograph = cv2.warpAffine(luma, turn, (width, height), borderValue=255)
    found = detect(photograph)
    assert not found.flat
    return photograph, found, turn


@each_crop
def test_on_a_rotated_page_a_pixel_comes_from_where_the_homography_says(drawn, rotated, place):
    """Painted is in pixels of the rectified page; its homography leads back to the photograph."""
    photograph, found, turn = rotated
    _, boxes = drawn["standard_3x4_with_rhythm"]
    # A stain in the photograph, where the middle of the lead's true box is.
    box = Box(*boxes[place])
    stain = turn @ [(box.left + box.right) / 2, (box.top + box.bottom) / 2, 1]
    stained = cv2.circle(photograph.copy(), np.rint(stain).astype(int).tolist(), 12, 0, -1)

    before, after = (
        crop_leads(rectify(page, found), found.boxes) for page in (photograph, stained)
    )
    hot = after.astype(float) - before
    assert np.abs(hot).sum(axis=(1, 2)).argmax() == place
    painted = np.abs(explain.paint(hot, found.boxes, found.size))
    assert painted.shape == found.size[::-1]
    y, x = np.unravel_index(painted.argmax(), painted.shape)
    back = cv2.perspectiveTransform(np.float64([[[x, y]]]), found.homography)[0, 0]
    # A crop's pixel is as wide as its box's 64th part, on the rhythm strip some 30 page pixels.
    assert back == pytest.approx(stain, abs=12 + box.width / 64 + 5)


# --- What is known of the model ---


@pytest.fixture(scope="module")
def model_of_one():
    """A function that makes a model of one crop, so much ink in which makes it class 1."""

    @cache
    def model(place):
        pixels, standardised = standardised_crops((13, 8, 8), mean=0.0, variance=255.0**2)
        rows = keras.layers.Reshape((13, 64))(standardised)
        alone = keras.layers.Cropping1D((place, 12 - place))(rows)
        made = keras.Model(pixels, logits(keras.layers.Flatten()(alone), 2))
        ink = np.full((64, 1), 1 / 8)
        made.get_layer("logits").set_weights([np.hstack([-ink, ink]), np.zeros(2)])
        return made

    return model


@each_explanation
@each_crop
def test_what_one_crop_decides_is_attributed_to_it(model_of_one, explanation, place):
    crops = np.zeros((13, 8, 8), np.uint8)
    crops[:, 3, 1:6] = 200
    values = by_crop(explanation, model_of_one(place), crops, class_index=1)
    assert values[place] > 0.2
    assert not np.delete(values, place).any()
    against = by_crop(explanation, model_of_one(place), crops, class_index=0)
    assert against == pytest.approx(-values, abs=1e-6)


def test_the_gradient_lies_on_the_ink(model_of_one):
    crops = np.zeros((13, 8, 8), np.uint8)
    crops[4, 3, 1:6] = 200
    maps, _ = explain.gradient_by_crop(model_of_one(4), crops)
    np.testing.assert_array_equal(maps != 0, crops != 0)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_can_be_explained(name, tiny):
    """The gradients' parts add up to what the ink does to the probability."""
    keras.utils.set_random_seed(1)
    crops = np.random.default_rng(0).integers(0, 256, (13, 32, 32), dtype=np.uint8)
    model = build(name, crops.shape, mean=127, variance=5000, **tiny.get(name, {}))
    maps, sums = explain.gradient_by_crop(model, crops, class_index=2, temperature=0.3)
    both = np.stack([crops, explain.paper(crops)])
    whole, without = explain.probabilities(model, both, temperature=0.3)[:, 2]
    assert maps.shape == crops.shape
    # Untrained, the layer norm of Lead attention bends most where there is no ink yet.
    error = 0.04 if name == "lead_attention" else 0.02
    assert sums.sum() == pytest.approx(whole - without, abs=error)
    occlusion = explain.lead_occlusion(model.predict_on_batch, crops, class_index=2)
    assert occlusion.shape == (13,)
    assert np.isfinite(occlusion).all()


def test_paper_keeps_the_grey_level_and_loses_the_ink():
    crops = np.full((13, 8, 8), 7, np.uint8)
    crops[:, 4] = 255
    crops[2] += 5
    levels = explain.paper(crops)
    assert levels.shape == crops.shape
    assert (levels[2] == 12).all()
    assert (np.delete(levels, 2, axis=0) == 7).all()


# --- What is known of a trained model ---


@each_explanation
def test_random_weights_change_the_explanation(trained, crops, explanation):
    """Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, arXiv 1810.03292."""
    keras.utils.set_random_seed(5)
    randomised = keras.models.clone_model(trained)
    alike = [
        spearmanr(*(by_crop(explanation, model, page, 0) for model in (trained, randomised)))[0]
        for page in crops[:5]
    ]
    assert np.mean(alike) < 0.5


def test_random_weights_change_the_gradient_s_pixels(trained, crops):
    keras.utils.set_random_seed(5)
    randomised = keras.models.clone_model(trained)
    for page in crops[:5]:
        maps = [explain.gradient_by_crop(model, page, 0)[0] for model in (trained, randomised)]
        ink = maps[0] != 0
        assert spearmanr(*(pixels[ink] for pixels in maps))[0] < 0.5


def test_deletion_starts_at_the_whole_page_and_ends_without_ink(trained, crops):
    orders = [np.arange(13), np.arange(13)[::-1]]
    curves = explain.deletion_curve(trained, crops[0], orders, class_index=1)
    ends = explain.probabilities(trained, np.stack([crops[0], explain.paper(crops[0])]))[:, 1]
    assert curves.shape == (2, 14)
    for curve in curves:
        assert curve[[0, -1]] == pytest.approx(ends, abs=1e-6)
    occlusion = explain.lead_occlusion(trained.predict_on_batch, crops[0], class_index=1)
    assert curves[:, 0] - curves[:, 1] == pytest.approx(occlusion[[0, 12]], abs=1e-6)
    alone = explain.deletion_curve(trained, crops[0], orders[1], class_index=1)
    assert alone == pytest.approx(curves[1], abs=1e-6)


def test_deleting_in_the_explanation_s_order_beats_chance(trained, crops):
    table = explain.deletion_table(trained, crops[::2])
    assert np.ptp(table.iloc[[0, -1]], axis=1).max() < 1e-6
    means = table.mean()
    assert means["occlusion"] < means["random"] - 0.05
    assert means["gradient"] < means["random"] - 0.05


# --- AttentionVGG ---


@pytest.fixture(scope="module")
def attention_vgg(tiny):
    keras.utils.set_random_seed(2)
    return build("attention_vgg", (13, 64, 32), mean=127, variance=5000, **tiny["attention_vgg"])


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(4).integers(0, 256, (13, 64, 32), dtype=np.uint8)


def test_attention_maps_are_the_layers_outputs_at_the_crops_size(attention_vgg, noise):
    maps = explain.attention_maps(attention_vgg, noise)
    assert maps.shape == (3, 64, 32)
    layer = attention_vgg.get_layer("attention1").output
    first = keras.Model(attention_vgg.input, layer).predict(noise[None], verbose=0)[0]
    np.testing.assert_allclose(maps[0], first * first.size, rtol=1e-5)
    # Even attention is 1.
    assert maps.mean(axis=(1, 2)) == pytest.approx([1, 1, 1], abs=0.05)


def test_attention_changes_with_weights(attention_vgg, noise):
    keras.utils.set_random_seed(6)
    randomised = keras.models.clone_model(attention_vgg)
    pairs = (explain.attention_maps(model, noise) for model in (attention_vgg, randomised))
    for one, other in zip(*pairs, strict=True):
        assert spearmanr(one.ravel(), other.ravel())[0] < 0.5


def test_only_attention_vgg_has_attention_maps(trained, crops):
    with pytest.raises(InputError, match="cnn_2d has no attention maps: expected an attention_vgg"):
        explain.attention_maps(trained, crops[0])


# --- Lead attention ---


@pytest.fixture(scope="module")
def lead_attention(tiny):
    keras.utils.set_random_seed(2)
    return build("lead_attention", (13, 64, 32), mean=127, variance=5000, **tiny["lead_attention"])


def test_attention_between_leads_is_that_of_the_queries_and_keys(lead_attention, noise):
    # Weights far from even attention, so that a mistake would show.
    for weight in lead_attention.get_layer("attention").weights:
        weight.assign(weight * 20)
    between = explain.attention_between_leads(lead_attention, noise)
    described = keras.Model(lead_attention.input, lead_attention.get_layer("which_lead").output)
    leads = described.predict(noise[None], verbose=0)[0]
    query, key = lead_attention.get_layer("attention").get_weights()[:2]
    asked, offered = (np.einsum("lv,vhd->hld", leads, kernel) for kernel in (query, key))
    scores = asked @ offered.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    expected = softmax(scores, axis=-1).mean(axis=0)
    assert between.shape == (13, 13)
    assert expected.std() > 0.01
    np.testing.assert_allclose(between, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(between.sum(axis=1), 1, rtol=1e-5)


def test_only_lead_attention_looks_between_leads(attention_vgg, noise, lead_attention):
    assert explain.looks_between_leads(lead_attention)
    assert not explain.looks_between_leads(attention_vgg)
    with pytest.raises(InputError, match="attention_vgg has no attention between leads"):
        explain.attention_between_leads(attention_vgg, noise)


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("lead_attention", explain.attention_between_leads),
        ("attention_vgg", explain.attention_maps),
    ],
)
def test_the_attention_of_an_ensemble_is_its_members_mean(tiny, noise, name, attention):
    networks = [build(name, (13, 64, 32), mean=127, variance=5000, **tiny[name]) for _ in range(2)]
    expected = (attention(networks[0], noise) + attention(networks[1], noise)) / 2
    together = mean_network(networks)
    np.testing.assert_allclose(attention(together, noise), expected, rtol=1e-5)
    assert explain.looks_between_leads(together) == (name == "lead_attention")


def test_deletion_tests_attention_where_there_is_one(lead_attention, noise):
    table = explain.deletion_table(lead_attention, noise[None])
    assert list(table) == ["occlusion", "gradient", "attention", "random"]
    order = np.argsort(-explain.attention_between_leads(lead_attention, noise).mean(axis=0))
    curve = explain.deletion_curve(lead_attention, noise, order)
    np.testing.assert_allclose(table["attention"], curve, rtol=1e-5)


# --- A run and a page ---


@dataclass
class Asked:
    run: str
    page: str


@pytest.fixture
def asked(finished_run, pages_folder):
    """A finished run and a page file."""
    page = pages_folder / "covid_19" / "covid_19_0001.jpg"
    return Asked(finished_run.run_path, page)


def test_a_question_is_seen_as_the_run_saw_its_pages(asked, prepared_set):
    question = explain.open_question(asked.run, asked.page)
    row = prepared_set.pages.index[prepared_set.pages["file"] == "covid_19/covid_19_0001.jpg"][0]
    np.testing.assert_array_equal(question.crops, prepared_set.crops[row])
    assert question.names == CROPS
    assert question.size == (question.page.shape[1], question.page.shape[0])
    assert question.answer.sum() == pytest.approx(1, abs=1e-6)
    assert tuple(question.answer.index) == read_record(asked.run).classes


def test_the_answer_is_calibrated(asked):
    question = explain.open_question(asked.run, asked.page)
    scores = question.model.predict(question.crops[None], verbose=0)[0] / question.temperature
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(question.answer, expected, rtol=1e-4)


def test_a_page_of_the_synthetic_set_is_drawn_if_missing(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "data/synthetic/covid_19/covid_19_0001.jpg"
    question = explain.open_question(asked.run, page)
    assert len(list((tmp_path / "data").rglob("*.jpg"))) == 5  # one per class
    assert (tmp_path / page).is_file()
    # Numbered as in the whole set: the same page.
    same = explain.open_question(asked.run, asked.page)
    np.testing.assert_array_equal(question.page, same.page)


def test_a_page_that_cannot_be_read_is_named(asked, tmp_path):
    page = tmp_path / "white.png"
    Image.fromarray(np.full((300, 300), 255, np.uint8)).save(page)
    with pytest.raises(InputError, match=r"white\.png: the picture is blank"):
        explain.open_question(asked.run, page)
    with pytest.raises(InputError, match=r"missing\.png is not a file"):
        explain.open_question(asked.run, tmp_path / "missing.png")


def test_a_folder_without_a_run_or_model_is_named(asked, tmp_path):
    with pytest.raises(InputError, match="holds no finished run"):
        explain.open_question(tmp_path, asked.page)
    run = shutil.copytree(asked.run, tmp_path / "run")
    (run / MODEL).unlink()
    with pytest.raises(InputError, match=r"no model at .*: expected a \.keras file"):
        explain.open_question(run, asked.page)


@pytest.fixture
def published_run(asked, tmp_path):
    """The finished run, as if under the published protocol."""
    run = shutil.copytree(asked.run, tmp_path / "published")
    change_record(run, {"protocol": "published"})
    return run


def test_boxes_chosen_by_label_are_not_known_for_other_pages(asked, published_run):
    with pytest.raises(InputError, match="none of the 2,746 files of the published experiment"):
        explain.open_question(published_run, asked.page)


def test_a_published_page_gets_its_published_boxes(asked, published_run, monkeypatch):
    digest = hashlib.sha256(asked.page.read_bytes()).hexdigest()
    files = explain.published_files().copy()
    files.loc[files["published_order"].first_valid_index(), "sha256"] = digest
    monkeypatch.setattr(explain, "published_files", lambda: files)
    question = explain.open_question(published_run, asked.page)
    assert question.names[:3] == ("box 1", "box 10", "box 11")
    expected = crop_leads(read_exchanged_grey(asked.page), question.boxes, height=16, width=16)
    np.testing.assert_array_equal(question.crops, expected)


# --- The benchmark ---


def test_the_deletion_benchmark_takes_the_pages_that_are_there(finished_run, run_copy, monkeypatch):
    loaded = Mock(side_effect=deletion.load)
    monkeypatch.setattr(deletion, "load", loaded)
    monkeypatch.setattr(explain, "load", loaded)
    arguments = ["deletion", finished_run.data, "--run", str(run_copy)]
    monkeypatch.setattr(sys, "argv", arguments)
    deletion.main()
    assert loaded.call_count == 1
    table = pd.read_csv(run_copy / "deletion.csv", index_col=0)
    predictions = read_predictions(run_copy)
    scores = predictions[predictions["split"] == "test"].filter(like="logit_")
    shares = softmax(scores / temperature_of(predictions), axis=1)
    np.testing.assert_allclose(table.iloc[0], shares.max(axis=1).mean(), atol=1e-3)


# --- The committed model on the real pages ---


@pytest.mark.real
def test_deletion_beats_chance_on_pages_the_committed_model_never_saw(real_pages):
    predictions = read_predictions(explain.project_path(COMMITTED))
    tested = predictions[predictions["split"] == "test"].sample(12, random_state=0)
    questions = [explain.open_question(COMMITTED, real_pages / file) for file in tested["file"]]
    asked = questions[0]
    logits_known = tested.filter(like="logit_").to_numpy() / asked.temperature
    answers = pd.DataFrame([question.answer for question in questions]).to_numpy()
    known = np.exp(logits_known) / np.exp(logits_known).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers, known, atol=1e-3)

    crops = np.stack([question.crops for question in questions])
    table = explain.deletion_table(asked.model, crops, asked.temperature)
    means = table.mean()
    assert means["occlusion"] < means["random"] - 0.08
    assert means["gradient"] < means["random"] - 0.08
