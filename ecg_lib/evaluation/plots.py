"""Plots; every function returns a matplotlib Figure and shows nothing by itself."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.evaluation.calibration import (
    CALIBRATED,
    PROBABILITY,
    expected_calibration_error,
    reliability,
)
from ecg_lib.evaluation.style import SERIES, new_axes
from ecg_lib.pages.leads import CROPS, Box
from ecg_lib.runs.predictions import SCORED_SPLITS


def page_figure(
    luma: np.ndarray, boxes: Sequence[Box], title: str, names: Sequence[str] = CROPS
) -> Figure:
    """Draw a page with its boxes and their names.

    Args:
        luma: uint8 array `(height, width)`, the page in grey levels.
        boxes: 13 boxes `(left, top, right, bottom)` in page pixels.
        title: the figure's title.
        names: the boxes' names.
    """
    figure, axes = _page_axes(luma, title)
    for box, label in _labels(boxes, names).items():
        _draw_box(axes, box, label, SERIES[0])
    return figure


def _page_axes(page, title):
    height, width = page.shape[:2]
    figure = Figure(figsize=(11, 11 * height / width), layout="constrained")
    axes = figure.subplots()
    axes.imshow(page, cmap="gray", vmin=0, vmax=255)
    # A file's name is no formula, though it may hold two dollar signs.
    axes.set_title(title, parse_math=False)
    axes.axis("off")
    return figure, axes


def _labels(boxes, names):
    """Label of each distinct box; on a page without a rhythm strip, lead II has two names."""
    labels = {}
    for box, name in zip(boxes, names, strict=True):
        labels.setdefault(tuple(box), []).append(name)
    return {box: " = ".join(named) for box, named in labels.items()}


def _draw_box(axes, box, label, colour):
    left, top, right, bottom = box
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, lw=2)
    )
    style = {"color": "white", "fontsize": 9, "va": "top"}
    axes.text(left + 6, top + 6, label, **style, bbox={"color": colour, "pad": 1.5})


def crops_figure(crops: np.ndarray, title: str, names: Sequence[str] = CROPS) -> Figure:
    """Draw the 13 crops of a page side by side, as the models see them.

    Args:
        crops: uint8 array `(13, height, width)`.
        title: the figure's title.
        names: the crops' names.
    """
    figure = Figure(figsize=(13, 1.7), layout="constrained")
    for axes, crop, name in zip(figure.subplots(1, len(crops)), crops, names, strict=True):
        axes.imshow(crop, cmap="gray", vmin=0, vmax=255)
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def history_figure(history: pd.DataFrame) -> Figure:
    """Plot loss and accuracy over the epochs, in training and on the validation pages.

    Args:
        history: DataFrame with the columns of a run's `history.csv`.
    """
    figure, pair = new_axes(10, 3.5, columns=2)
    for axes, name in zip(pair, ("loss", "accuracy"), strict=True):
        axes.plot(history["epoch"] + 1, history[name], "o-", label="training")
        axes.plot(history["epoch"] + 1, history[f"val_{name}"], "s-", label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.legend(frameon=False)
    return figure


def confusion_figure(counts: pd.DataFrame, title: str) -> Figure:
    """Draw a confusion matrix.

    Args:
        counts: DataFrame of counts, true classes in rows, predicted classes in columns.
        title: the figure's title.
    """
    names = [DISPLAY_NAMES[name] for name in counts.index]
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.subplots()
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts.to_numpy()):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, count, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def accuracy_figure(table: pd.DataFrame) -> Figure:
    """Plot the runs' accuracies side by side, with the published ones if there are any.

    Args:
        table: DataFrame as `ecg_lib.evaluation.tables.accuracy_table` returns it.
    """
    figure, (axes,) = new_axes(8, 0.7 * len(table) + 1.5)
    places = np.arange(len(table))
    for offset, part in zip((-0.2, 0.2), SCORED_SPLITS, strict=True):
        axes.barh(places + offset, table[part], height=0.38, label=part)
        if f"published_{part}" in table:
            label = "published" if part == SCORED_SPLITS[0] else None
            axes.plot(table[f"published_{part}"], places + offset, "k|", ms=14, label=label)
    axes.set_yticks(places, table["run" if table["model"].duplicated().any() else "model"])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy", xlim=(0, 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


def reliability_figure(scored: pd.DataFrame, title: str) -> Figure:
    """Plot accuracy over confidence, as trained and after temperature scaling.

    Args:
        scored: DataFrame as `ecg_lib.evaluation.calibration.score` returns it.
        title: the figure's title.
    """
    figure, (axes,) = new_axes(5, 4.5)
    axes.plot([0, 1], [0, 1], "k:", lw=1)
    for prefix, label, marker in (
        (PROBABILITY, "as trained", "o"),
        (CALIBRATED, "temperature scaled", "s"),
    ):
        bins = reliability(scored, prefix)
        error = expected_calibration_error(scored, prefix)
        named = f"{label}, ECE {error:.3f}"
        axes.plot(bins["confidence"], bins["accuracy"], f"{marker}-", label=named)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(frameon=False)
    return figure


EXPLANATION_COLOURS = ListedColormap(plt.get_cmap("PuOr_r")(np.linspace(0.15, 0.85, 256)))
"""Orange supports the class, purple opposes it, also for people who cannot distinguish red from
green. The map's dark ends are left out, since no trace is visible on them."""

INK_SHARE = 0.7
"""How dark the page's ink is over an explanation: 0 invisible, 1 black."""


def explanation_figure(
    luma: np.ndarray,
    painted: np.ndarray,
    boxes: Sequence[Box],
    title: str,
    unit: str,
    names: Sequence[str] = CROPS,
) -> Figure:
    """Draw a page with an explanation over it, its boxes and their names.

    Args:
        luma: uint8 array `(height, width)`, the rectified page in grey levels.
        painted: float array of the same shape, as `ecg_lib.serving.explain.paint` returns it.
        boxes: 13 boxes `(left, top, right, bottom)` in pixels of that page.
        title: the figure's title.
        unit: what the values are, for the colour bar.
        names: the boxes' names.
    """
    # A few pixels can outweigh all others; they share the last colour.
    limit = np.quantile(abs(painted[painted != 0]), 0.99) if painted.any() else 1
    colours = ScalarMappable(Normalize(-limit, limit), EXPLANATION_COLOURS)
    paint = colours.to_rgba(painted, bytes=True)[..., :3]
    # Like ink on coloured paper, but never so dark that the colour is lost.
    ink = (INK_SHARE * luma + (1 - INK_SHARE) * 255)[..., np.newaxis] / 255
    figure, axes = _page_axes((paint * ink).astype(np.uint8), title)
    for box, label in _labels(boxes, names).items():
        _draw_box(axes, box, label, "dimgray")
    figure.colorbar(colours, ax=axes, label=unit, shrink=0.7, extend="both")
    return figure


def leads_figure(values: np.ndarray, title: str, unit: str, names: Sequence[str] = CROPS) -> Figure:
    """Draw a bar for each crop.

    Args:
        values: float array `(13,)`, positive where the crop supports the class.
        title: the figure's title.
        unit: what the values are, for the axis.
        names: the crops' names.
    """
    figure, (axes,) = new_axes(7, 4)
    against, for_it = EXPLANATION_COLOURS([0.0, 1.0])
    colours = np.where((np.asarray(values) > 0)[:, np.newaxis], for_it, against)
    axes.barh(range(len(names)), values, color=colours)
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0, color="black", lw=0.8)
    axes.invert_yaxis()
    axes.set(xlabel=unit, title=title)
    return figure


def deletion_figure(table: pd.DataFrame, title: str) -> Figure:
    """Plot how the probability of a class falls as crops are removed in different orders.

    Args:
        table: DataFrame as `ecg_lib.serving.explain.deletion_table` returns it.
        title: the figure's title.
    """
    figure, (axes,) = new_axes(7, 4)
    for (name, curve), marker in zip(table.items(), "osd^", strict=False):
        style = "k:" if name == "random" else f"{marker}-"
        axes.plot(curve, style, label=f"{name}: mean {curve.mean():.3f}")
    axes.set(xlabel=table.index.name, ylabel="probability", ylim=(0, 1), title=title)
    axes.legend(frameon=False)
    return figure
