"""Every plot returns a figure that shows what it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ecg_lib.evaluation import plots
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


def test_explanation_figure_colours_the_page_where_it_was_painted():
    page = np.full((60, 130), 255, np.uint8)
    page[30] = 0
    painted = np.zeros((60, 130))
    painted[:, :10], painted[:, 10:20] = 0.5, -0.5
    boxes = [(10 * number, 0, 10 * number + 10, 60) for number in range(13)]
    figure = plots.explanation_figure(page, painted, boxes, "a page", "a unit")
    shown = figure.axes[0].images[0].get_array().astype(int)
    red, _, blue = 0, 1, 2
    assert shown[5, 5, red] > shown[5, 5, blue] + 100  # orange: for
    assert shown[5, 15, blue] > shown[5, 15, red] + 20  # purple: against
    assert np.ptp(shown[5, 25]) < 5
    assert (shown[30].sum(axis=-1) < 0.5 * shown[5].sum(axis=-1)).all()  # the trace is seen
    assert {*CROPS, "a page", "a unit"} <= set(words(figure))


def test_an_explanation_of_nothing_colours_nothing():
    boxes = [(0, 0, 5, 5)] * 13
    figure = plots.explanation_figure(
        np.full((9, 9), 255, np.uint8), np.zeros((9, 9)), boxes, "a page", "a unit"
    )
    assert np.ptp(figure.axes[0].images[0].get_array(), axis=-1).max() < 5


def test_leads_figure_parts_for_from_against():
    values = np.linspace(-0.6, 0.6, 13)
    figure = plots.leads_figure(values, "a page", "drop")
    bars = figure.axes[0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], values)
    assert len({bar.get_facecolor() for bar in bars}) == 2
    assert bars[0].get_facecolor() != bars[-1].get_facecolor()
    assert {*CROPS, "drop", "a page"} <= set(words(figure))


def test_deletion_figure_shows_each_curve_and_its_mean():
    table = pd.DataFrame(
        {"occlusion": [1, 0.1, 0.1], "gradient": [1, 0.2, 0], "random": [1, 0.5, 0.3]}
    )
    figure = plots.deletion_figure(table.rename_axis("crops taken away"), "a page")
    for line, (_, curve) in zip(figure.axes[0].lines, table.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    assert {"occlusion: mean 0.400", "random: mean 0.600", "probability"} <= set(words(figure))
