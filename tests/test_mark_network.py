"""The network that marks pages: what it learns from, its training, and how it is written."""

import cv2
import numpy as np
import pytest

from ecg_lib.drawing.practice_pictures import OTHER, draw_picture
from ecg_lib.drawing.simulation import simulate
from ecg_lib.pages.detection.general.marks import CELL, KINDS, WEIGHTS
from ecg_lib.training import mark_network as mark_network_module
from ecg_lib.training.mark_network import mark_network, train, write_onnx

MOST_BYTES = 3_000_000
"""The weights travel with the package."""


@pytest.fixture(scope="module")
def recordings():
    return [simulate("normal", np.random.default_rng(1))]


def test_pictures_differ_and_cells_say_what_they_show(recordings):
    pictures = [draw_picture(np.random.default_rng(seed), recordings) for seed in range(8)]
    assert len({picture.darkness.shape for picture in pictures}) > 4
    kinds = set()
    for picture in pictures:
        height, width = picture.cells.shape[:2]
        assert picture.darkness.shape == (height * CELL, width * CELL)
        blocks = picture.darkness.reshape(height, CELL, width, CELL).max(axis=(1, 3))
        traced = picture.cells[..., 0] > 0
        if traced.any():
            beside = np.roll(traced, 4, axis=0) & ~traced
            assert blocks[traced].mean() > 1.3 * blocks[beside].mean()
        named = picture.cells[..., 3] > 0
        kinds |= set(picture.cells[named][:, 5])
        assert ((picture.cells[..., 5] >= 0) == named).all()
        for x, y in picture.names:
            row, column = round(y / CELL - 0.5), round(x / CELL - 0.5)
            if 0 <= row < height and 0 <= column < width and named[row, column]:
                assert blocks[row - 1 : row + 2, column - 1 : column + 2].max() > 0.3
    assert kinds <= set(range(OTHER + 1)) and len(kinds) > 9


def test_committed_network_sees_what_the_cells_say(recordings):
    network = cv2.dnn.readNetFromONNX(str(WEIGHTS))
    traces, names = [], []
    for seed in range(6):
        picture = draw_picture(np.random.default_rng(seed), recordings)
        network.setInput(np.ascontiguousarray(picture.darkness)[None, None])
        answer = network.forward()[0]
        traces.append((answer[0] > 0) == (picture.cells[..., 0] > 0))
        named = picture.cells[..., 3] > 0
        names.append((answer[5:].argmax(axis=0) == picture.cells[..., 5])[named])
    assert np.mean(np.concatenate(traces, axis=None)) > 0.95
    # Small letters on photographs are hard to read, and some names lie on traces.
    assert np.mean(np.concatenate(names)) > 0.6


def test_opencv_runs_what_keras_has_trained(recordings, tmp_path):
    network = train(1)
    write_onnx(network, tmp_path / "marks.onnx")
    look = np.random.default_rng(0).random((1, 96, 160, 1), dtype=np.float32)
    expected = network(look, training=False).numpy()
    opencv = cv2.dnn.readNetFromONNX(str(tmp_path / "marks.onnx"))
    opencv.setInput(look.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(opencv.forward().transpose(0, 2, 3, 1), expected, atol=1e-3)


def test_training_is_resumed_where_it_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(mark_network_module, "SAVED", 1)
    monkeypatch.setattr(mark_network_module, "BATCH", 2)
    checkpoint = tmp_path / "marks.keras"
    train(1, checkpoint=checkpoint)
    resumed = train(3, checkpoint=checkpoint)
    assert int(resumed.optimizer.iterations) == 3
    untouched = train(3, checkpoint=checkpoint)
    for one, other in zip(resumed.get_weights(), untouched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_committed_weights_are_those_of_this_network():
    assert WEIGHTS.stat().st_size < MOST_BYTES
    opencv = cv2.dnn.readNetFromONNX(str(WEIGHTS))
    opencv.setInput(np.zeros((1, 1, 32, 64), np.float32))
    assert opencv.forward().shape == (1, 5 + len(KINDS), 8, 16)
    sizes = sum(np.prod(weights.shape) for weights in mark_network().trainable_weights)
    # Four bytes a weight, and some for the graph.
    assert 4 * sizes < WEIGHTS.stat().st_size < 4 * sizes + 20_000
