"""Every plot returns a figure that shows what it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ecg_lib.experiment import plots
from ecg_lib.pages.leads import CROPS


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    yield
    assert plt.get_fignums() == []


def words(figure):
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def test_page_figure_draws_every_box_at_its_place():
    boxes = [(10 * number, 20, 10 * number + 8, 50) for number in range(13)]
    figure = plots.page_figure(np.full((100, 200), 255, np.uint8), boxes, "a page")
    assert isinstance(figure, Figure)
    patches = figure.axes[0].patches
    found = [(p.get_x(), p.get_y(), p.get_x() + p.get_width(), 50) for p in patches]
    assert found == boxes
    assert {*CROPS, "a page"} <= set(words(figure))


def test_crops_figure_shows_the_crops_in_order():
    crops = np.arange(13, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)
    figure = plots.crops_figure(crops, "a page")
    assert [axes.get_title() for axes in figure.axes] == list(CROPS)
    shown = [int(axes.images[0].get_array().max()) for axes in figure.axes]
    assert shown == list(range(13))
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 255)}


def test_history_figure_counts_epochs_from_one():
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = pd.DataFrame({"epoch": [0, 1, 2]} | {name: [3.0, 2.0, 1.0] for name in names})
    figure = plots.history_figure(history)
    for axes in figure.axes:
        for line in axes.lines:
            assert list(line.get_xdata()) == [1, 2, 3]
    assert {"training", "validation", "loss", "accuracy"} <= set(words(figure))


def test_confusion_figure_shows_counts_and_shares():
    names = ["normal", "covid_19"]
    counts = pd.DataFrame([[3, 1], [0, 0]], index=names, columns=names)
    figure = plots.confusion_figure(counts, "test")
    assert {"3", "1", "0", "Normal", "COVID-19", "true", "predicted"} <= set(words(figure))
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[0.75, 0.25], [0, 0]])


@pytest.mark.parametrize("published", [True, False])
def test_accuracy_figure_shows_each_run(published):
    table = pd.DataFrame({"model": ["A", "B"], "validation": [0.5, 0.9], "test": [0.6, 0.8]})
    if published:
        table = table.assign(published_validation=[0.55, None], published_test=[0.65, None])
    figure = plots.accuracy_figure(table)
    widths = sorted(bar.get_width() for bar in figure.axes[0].patches)
    assert widths == [0.5, 0.6, 0.8, 0.9]
    assert {"A", "B", "validation", "test", "accuracy"} <= set(words(figure))
    assert ("published" in words(figure)) == published
