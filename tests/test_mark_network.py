"""The network that marks pages: what it learns from, its training, and how it is written."""

import cv2
import numpy as np
import pytest

from ecg_lib.drawing.practice_pages import OTHER, draw_practice_page
from ecg_lib.drawing.practice_pictures import draw_picture
from ecg_lib.drawing.simulation import simulate
from ecg_lib.pages.detection.general.marks import CELL, KINDS, WEIGHTS
from ecg_lib.training.mark_network import mark_network, train, write_onnx

MOST_BYTES = 3_000_000
"""The weights travel with the package."""


@pytest.fixture(scope="module")
def recordings():
    return [simulate("normal", np.random.default_rng(1))]


def test_pages_differ_and_name_what_they_print(recordings):
    pages = [draw_practice_page(np.random.default_rng(seed), recordings) for seed in range(12)]
    assert len({page.grid.shape for page in pages}) > 6
    for page in pages:
        assert page.trace.any()
        for kind, left, top, right, bottom in page.names:
            assert 0 <= kind <= OTHER
            # Where the name lies on the page in full, there is ink in its box.
            box = page.print[max(round(top), 0) : round(bottom), max(round(left), 0) : round(right)]
            assert not box.size or box.max() > 100


def test_names_stand_where_the_cells_say(recordings):
    for seed in range(6):
        picture = draw_picture(np.random.default_rng(seed), recordings)
        assert picture.cells.shape[:2] == tuple(side // CELL for side in picture.darkness.shape)
        height, width = picture.cells.shape[:2]
        for x, y in picture.names:
            row, column = round(y / CELL - 0.5), round(x / CELL - 0.5)
            if 0 <= row < height and 0 <= column < width:
                assert picture.cells[row, column, 3] == 1
                assert 0 <= picture.cells[row, column, 5] <= OTHER


def test_opencv_runs_what_keras_has_trained(recordings, tmp_path):
    network = train(1)
    write_onnx(network, tmp_path / "marks.onnx")
    look = np.random.default_rng(0).random((1, 96, 160, 1), dtype=np.float32)
    expected = network(look, training=False).numpy()
    opencv = cv2.dnn.readNetFromONNX(str(tmp_path / "marks.onnx"))
    opencv.setInput(look.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(opencv.forward().transpose(0, 2, 3, 1), expected, atol=1e-3)


def test_committed_weights_are_those_of_this_network():
    assert WEIGHTS.stat().st_size < MOST_BYTES
    opencv = cv2.dnn.readNetFromONNX(str(WEIGHTS))
    opencv.setInput(np.zeros((1, 1, 32, 64), np.float32))
    assert opencv.forward().shape == (1, 5 + len(KINDS), 8, 16)
    sizes = sum(np.prod(weights.shape) for weights in mark_network().trainable_weights)
    # Four bytes a weight, and some for the graph.
    assert 4 * sizes < WEIGHTS.stat().st_size < 4 * sizes + 20_000
