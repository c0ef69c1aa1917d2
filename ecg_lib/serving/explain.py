"""What a network's answer for one page depends on, lead by lead and pixel by pixel.

All explanations are in one unit: the probability of a class. Occlusion says by how much it drops
without a crop (`ecg_lib.serving.occlusion`); integrated gradients divide its total drop, from the
page to the page without ink, among the pixels. Without ink means that a crop is its own paper
(`paper`). `deletion_table` tests whether an order of crops explains the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from ecg_lib.data.khan2021 import published_boxes, published_files
from ecg_lib.data.prepared import crop_names
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import answering_of
from ecg_lib.files import sha256
from ecg_lib.models import load
from ecg_lib.models.layers import networks_of
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import rectify
from ecg_lib.pages.image import read_exchanged_grey
from ecg_lib.pages.reading import find_leads
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS, RunConfig, project_path
from ecg_lib.runs.folder import MODEL, read_record
from ecg_lib.runs.names import network_name
from ecg_lib.serving.occlusion import blanked, lead_occlusion, paper, softmax
from ecg_lib.serving.occlusion import paint as paint

ATTENTION_MAPS = ("attention1", "attention2", "attention3")
"""The layers of AttentionVGG whose outputs are its attention maps, from shallow to deep."""

STEPS = 32
"""Steps of the integral: on real pages the parts then add up to the whole within 0.01."""

STEPS_AT_ONCE = 8
"""So few that a gradient of AttentionVGG fits into a small computer's memory."""

RANDOM_ORDERS = 10


@dataclass(frozen=True)
class Question:
    """Hold a page and the trained network whose answer for it is explained.

    Attributes:
        model: the run's `keras.Model`.
        model_name: its name in the registry.
        network: what it is called in text, such as "Lead attention, mean of 3 seeds".
        classes: the class names, in the order of the logits.
        temperature: what the logits are divided by, fitted on the run's validation pages.
        page: uint8 array `(height, width)`, the rectified page in grey levels.
        boxes: 13 `Box`es in pixels of the rectified page.
        names: what the crops show, in their order.
        crops: uint8 array `(13, height, width)`, what the model sees.
    """

    model: keras.Model
    model_name: str
    network: str
    classes: list
    temperature: float
    page: np.ndarray
    boxes: tuple
    names: tuple
    crops: np.ndarray

    @property
    def size(self) -> tuple[int, ...]:
        """Width and height of the rectified page, in pixels."""
        return self.page.shape[::-1]

    @property
    def answer(self) -> pd.Series:
        """Series of the calibrated probability of each class."""
        found = probabilities(self.model, self.crops[np.newaxis], self.temperature)
        return pd.Series(found[0], self.classes, name="probability")


def open_question(run: str | Path, page: str | Path, model: keras.Model | None = None) -> Question:
    """Read a page the way the model of a run was trained to see pages.

    Args:
        run: a run folder with its `model.keras`, such as `results/models/lead_attention`.
        page: the page's image file. A page of the default synthetic set is drawn if missing.
        model: the run's network, if it is loaded already.

    Returns:
        A `Question`.

    Raises:
        InputError: if the run is not finished or has no model file, if the page cannot be read, or
            if the run is of the `published` protocol, whose boxes were chosen by label, and the
            page none of the published experiment.
    """
    run, page = Path(project_path(run)), Path(project_path(page))
    record = read_record(run)
    config = record.config
    _draw_if_missing(page)
    source = PROTOCOLS[config.protocol].boxes
    inverted: tuple[int, ...] = ()
    if source == "published":
        luma, boxes = read_exchanged_grey(page), _published_boxes(page)
    else:
        luma, found = find_leads(page)
        luma, boxes, inverted = rectify(luma, found), found.boxes, found.inverted
    return Question(
        model=load(run / MODEL) if model is None else model,
        model_name=config.model,
        network=network_name(record),
        classes=list(record.classes),
        temperature=answering_of(run, record).temperature,
        page=luma,
        boxes=boxes,
        names=crop_names(source),
        crops=crop_leads(luma, boxes, inverted=inverted, **config.crop_options),
    )


def _draw_if_missing(page):
    """Draw the default synthetic set as far as the page's number, if the page is one of it."""
    folder = project_path(RunConfig.data)
    number = re.search(r"_(\d{4})\.jpg$", page.name)
    if number and page.is_relative_to(folder) and not page.exists():
        draw_set(folder, min(int(number[1]), DEMO_PAGES_PER_CLASS))


def _published_boxes(page):
    """The boxes of a page of the published experiment, known by its bytes."""
    files = published_files().dropna(subset="published_order")
    of_page = files[files["sha256"] == sha256(page)]
    if of_page.empty:
        raise InputError(
            f"{page} is none of the {len(files):,} files of the published experiment, whose boxes "
            f"were chosen by label: expected one of them, or a run of another protocol"
        )
    boxes = published_boxes()[of_page["published_boxes"].iloc[0]]
    return tuple(map(tuple, boxes))


def probabilities(model: keras.Model, crops: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Predict the probability of each class.

    Args:
        model: a `keras.Model` from crops to logits.
        crops: array `(pages, 13, height, width)`, 0 to 255.
        temperature: what the logits are divided by.

    Returns:
        Float array `(pages, classes)`.
    """
    return softmax(model.predict(crops, batch_size=64, verbose=0) / temperature)


def gradient_by_crop(
    model: keras.Model,
    crops: np.ndarray,
    class_index: int | None = None,
    temperature: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the probability of a class among the pixels, by integrated gradients.

    The gradient is averaged on the straight way from the page without ink to the page, so that it
    is not lost where the model is sure, and multiplied by what each pixel differs in. The parts add
    up to the probability's difference between the two.

    Args:
        model: a `keras.Model` from crops to logits, on TensorFlow.
        crops: array `(13, height, width)`, 0 to 255.
        class_index: place of the class among the logits; without it, the most probable class.
        temperature: what the logits are divided by.

    Returns:
        Two float arrays: the maps `(13, height, width)`, and the sum of each `(13,)`. Positive
        where ink speaks for the class.

    Reference:
        Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, ICML 2017,
        arXiv 1703.01365.
    """
    if class_index is None:
        class_index = probabilities(model, crops[np.newaxis])[0].argmax()
    start = paper(crops)
    ink = crops - start
    middles = (np.arange(STEPS, dtype="float32") + 0.5) / STEPS
    gradient = np.zeros_like(ink)
    for shares in middles.reshape(-1, STEPS_AT_ONCE, 1, 1, 1):
        pages = tf.constant(start + shares * ink)
        with tf.GradientTape() as tape:
            tape.watch(pages)
            logits = model(pages, training=False)
            chosen = tf.nn.softmax(logits / temperature)[:, class_index]
        gradient += tape.gradient(chosen, pages).numpy().sum(axis=0) / STEPS
    maps = ink * gradient
    return maps, maps.sum(axis=(1, 2))


def attention_maps(model: keras.Model, crops: np.ndarray) -> np.ndarray:
    """Return the three attention maps of AttentionVGG.

    The leads are its channels: a map says where in a crop the model looks, in all crops alike, and
    cannot say which lead mattered. It is the same for every class.

    Args:
        model: an AttentionVGG, or an ensemble of such, whose mean it then is.
        crops: array `(13, height, width)`, 0 to 255.

    Returns:
        Float array `(3, height, width)`, from shallow to deep, in multiples of what each position
        would get if attention were even.

    Raises:
        InputError: if the model has no such maps.
    """
    return np.mean([_attention_maps(network, crops) for network in networks_of(model)], axis=0)


def _attention_maps(network, crops):
    names = {layer.name for layer in network.layers}
    if not names.issuperset(ATTENTION_MAPS):
        raise InputError(f"{network.name} has no attention maps: expected an attention_vgg")
    outputs = [network.get_layer(name).output for name in ATTENTION_MAPS]
    found = keras.Model(network.inputs, outputs).predict(crops[np.newaxis], verbose=0)
    size = crops.shape[:0:-1]
    return np.stack([cv2.resize(weights[0] * weights[0].size, size) for weights in found])


def attention_between_leads(model: keras.Model, crops: np.ndarray) -> np.ndarray:
    """Return how much each lead looks at each other one, in a Lead attention network.

    It is the same for every class, and says where the network looked, not whether it mattered:
    `deletion_table` puts that to the test.

    Args:
        model: a Lead attention network, or an ensemble of such.
        crops: array `(13, height, width)`, 0 to 255.

    Returns:
        Float array `(13, 13)`, mean over heads and networks: each row is a lead that looks, and
        adds up to 1 over the leads that it looks at. The mean over the rows says how much a lead
        is looked at.

    Raises:
        InputError: if the model has no attention between leads.
    """
    if not looks_between_leads(model):
        raise InputError(f"{model.name} has no attention between leads: expected a lead_attention")
    return np.mean([_attention_scores(network, crops) for network in networks_of(model)], axis=0)


def _attention_scores(network, crops):
    described = keras.Model(network.input, network.get_layer("which_lead").output)
    leads = described(crops[np.newaxis], training=False)
    _, scores = network.get_layer("attention")(leads, leads, return_attention_scores=True)
    return np.asarray(scores)[0].mean(axis=0)


def looks_between_leads(model: keras.Model) -> bool:
    """Return whether a model, or the networks of an ensemble, have attention between leads."""
    layers = [layer for network in networks_of(model) for layer in network.layers]
    return any(isinstance(layer, keras.layers.MultiHeadAttention) for layer in layers)


def deletion_curve(
    model: keras.Model,
    crops: np.ndarray,
    order: Sequence | np.ndarray,
    class_index: int | None = None,
    temperature: float = 1.0,
) -> np.ndarray:
    """Return the probability of a class as crops are removed one after the other.

    Args:
        model: a `keras.Model` from crops to logits.
        crops: array `(13, height, width)`, 0 to 255.
        order: the places of the crops in the order they go, `(13,)`, or several orders,
            `(orders, 13)`.
        class_index: place of the class among the logits; without it, the most probable class.
        temperature: what the logits are divided by.

    Returns:
        Float array `(14,)`, or `(orders, 14)`: with 0 to 13 crops taken away.

    Reference:
        Petsiuk, Das and Saenko, RISE, BMVC 2018, arXiv 1806.07421.
    """
    order = np.asarray(order)
    turn = np.argsort(order, axis=-1)
    gone = turn[..., np.newaxis, :] < np.arange(len(crops) + 1)[:, np.newaxis]
    found = probabilities(model, blanked(crops, gone.reshape(-1, len(crops))), temperature)
    chosen = found[0].argmax() if class_index is None else class_index
    return found[:, chosen].reshape(gone.shape[:-1])


def deletion_table(model: keras.Model, pages: np.ndarray, temperature: float = 1.0) -> pd.DataFrame:
    """Test whether the explanations name the crops that matter, by their deletion curves.

    A crop that speaks more for the most probable class goes earlier.

    Args:
        model: a `keras.Model` from crops to logits.
        pages: array `(pages, 13, height, width)`, 0 to 255.
        temperature: what the logits are divided by.

    Returns:
        DataFrame of the mean probability over the pages with 0 to 13 crops taken away (its rows):
        occlusion, gradient, attention if the model looks between leads, and random, the mean of
        `RANDOM_ORDERS` random orders. The lower a column's mean, the better the order.
    """
    rng = np.random.default_rng(0)
    tables = []
    for crops in pages:
        weights = {
            "occlusion": lead_occlusion(model.predict_on_batch, crops, temperature=temperature),
            "gradient": gradient_by_crop(model, crops, temperature=temperature)[1],
        }
        if looks_between_leads(model):
            weights["attention"] = attention_between_leads(model, crops).mean(axis=0)
        by_chance = [rng.permutation(len(crops)) for _ in range(RANDOM_ORDERS)]
        orders = [*(np.argsort(-of_crop) for of_crop in weights.values()), *by_chance]
        curves = deletion_curve(model, crops, orders, temperature=temperature)
        named = dict(zip(weights, curves, strict=False))
        tables.append(pd.DataFrame(named | {"random": curves[len(weights) :].mean(axis=0)}))
    mean = sum(tables[1:], tables[0]) / len(tables)
    return mean.rename_axis("crops taken away")
