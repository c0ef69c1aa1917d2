"""The picture shows every layer once and every connection, and no text runs into another."""

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from ecg_lib import models
from ecg_lib.models import diagram


@pytest.fixture(scope="module", params=models.MODELS)
def model(request):
    return models.build(request.param)


def connections(model):
    edges = diagram._edges(diagram._group(model))
    return {(edge.source.title, edge.target.title) for edge in edges}


def test_every_layer_is_in_one_box(model):
    boxes = diagram._group(model)
    drawn = [layer.name for box in boxes for layer in box.layers]
    assert sorted(drawn) == sorted(layer.name for layer in model.layers)


def test_text_keeps_to_its_box_and_overlaps_nothing(model):
    figure = diagram.architecture_figure(model)
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    texts = [text for text in axes.texts if text.get_text()]
    extents = [text.get_window_extent(renderer) for text in texts]
    patches = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    frames = [patch.get_window_extent(renderer) for patch in patches]

    assert not any(a.overlaps(b) for a, b in combinations(extents, 2))
    assert not any(a.overlaps(b) for a, b in combinations(frames, 2))
    for text, extent in zip(texts[1:], extents[1:], strict=True):  # The first is the headline.
        assert any(
            frame.containsx(extent.x0)
            and frame.containsx(extent.x1)
            and frame.containsy(extent.y0)
            and frame.containsy(extent.y1)
            for frame in frames
        ), text.get_text()
    assert figure.bbox.containsx(extents[0].x1)


def test_headline_names_the_network_and_its_size():
    figure = diagram.architecture_figure(models.build("attention_vgg"))
    headline = figure.axes[0].texts[0].get_text()
    assert headline == "AttentionVGG: 20,634,693 trainable parameters"


def test_attention_is_drawn_beside_the_block_it_looks_at():
    boxes = diagram._group(models.build("attention_vgg"))
    diagram._choose_lanes(boxes, diagram._edges(boxes))
    beside = {box.title: box.beside.title for box in boxes if box.beside}
    assert beside == {"attention1": "block3", "attention2": "block4", "attention3": "block5"}


def test_branches_are_connected():
    vgg = connections(models.build("attention_vgg"))
    assert {("global conv", f"attention{number}") for number in (1, 2, 3)} <= vgg
    assert {(f"attention{number}", "attended") for number in (1, 2, 3)} <= vgg
    assert ("global conv", "attended") not in vgg
    lstm = connections(models.build("attention_lstm"))
    assert {("lstm", "attention"), ("lstm", "context"), ("lstm", "context and last state")} <= lstm


def lines(name, box):
    boxes = {box.title: box for box in diagram._group(models.build(name))}
    return [(line.text, line.shape) for line in boxes[box].lines]


def test_lines_say_what_is_done_and_what_comes_out():
    assert lines("attention_vgg", "block3") == [
        ("3 × conv 3×3, 256, batch norm, ReLU", "64×64×256"),
        ("max-pool 2", "32×32×256"),
    ]
    assert lines("cnn_3d", "block3") == [
        ("pad 1, conv 2×2×2, 256, ReLU", "4×17×17×256"),
        ("max-pool 2", "2×8×8×256"),
    ]
