"""Draw pages in the style of ecg-image-kit, rebuilt from its description.

A figure of matplotlib with a red, pink, blue, green or brown grid, thin black traces, names under
the beginnings of the traces, short strokes where leads meet, and on half of the pages a header.

Reference:
    Shivashankara et al., *ECG-Image-Kit: a synthetic image generation toolbox to facilitate deep
    learning-based electrocardiogram digitization*, Physiological Measurement 45 (2024) 055019.
"""

import numpy as np
from matplotlib.figure import Figure

from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS

SIZE_INCHES = (11.0, 8.5)
MM_PER_INCH = 25.4
MM_PER_SECOND, MM_PER_MV = 25.0, 10.0
LEFT_MM = 20.0

GRIDS = ("brown", "lightpink", "cornflowerblue", "mediumseagreen", "tomato")


def draw_like_image_kit(
    signals: np.ndarray, rate: float, layout: str, pulses: str, rng: np.random.Generator
) -> tuple[Figure, np.ndarray, np.ndarray]:
    """Draw twelve leads.

    Args:
        signals: array `(12, samples)` in mV, ten seconds.
        rate: samples per second.
        layout: a key of `ecg_lib.pages.layouts.LAYOUTS`.
        pulses: "left" or "none".
        rng: chooses the grid's colour, and whether there is a header.

    Returns:
        The figure, and its column edges and baselines in millimetres from its upper left corner.
    """
    arrangement = LAYOUTS[layout]
    figure = Figure(figsize=SIZE_INCHES)
    width, height = np.array(SIZE_INCHES) * MM_PER_INCH
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    colour = rng.choice(GRIDS)
    for step, line in ((1, 0.25), (5, 0.6)):
        axes.vlines(np.arange(0, width, step), 0, height, colour, linewidth=line, alpha=0.6)
        axes.hlines(np.arange(0, height, step), 0, width, colour, linewidth=line, alpha=0.6)
    first = 30.0 if rng.random() < 0.5 else 15.0
    if first > 20:
        axes.text(8, 10, "ID: 10482  Age: 61  Sex: M\nRecorded on 12/03/2016\n25 mm/s  10 mm/mV")
    baselines = np.linspace(first, height - 5, 2 * arrangement.lines + 1)[1::2]
    edges = np.linspace(LEFT_MM, LEFT_MM + 10 * MM_PER_SECOND, arrangement.columns + 1)
    lines = [*arrangement.rows, *((lead,) for lead in arrangement.rhythm_strips)]
    for leads, y in zip(lines, baselines, strict=True):
        parts = zip(leads, np.array_split(np.arange(round(10 * rate)), len(leads)), strict=True)
        for lead, samples in parts:
            x = LEFT_MM + samples / rate * MM_PER_SECOND
            axes.plot(x, y - MM_PER_MV * signals[LEADS.index(lead), samples], "k", linewidth=0.75)
            axes.text(x[0] + 1, y + 6, lead, fontsize=10, fontweight="bold")
            if x[0] > LEFT_MM:
                axes.plot([x[0], x[0]], [y - 4, y + 4], "k", linewidth=0.75)
        if pulses == "left":
            x = LEFT_MM - np.array([8, 7, 7, 2, 2, 0])
            axes.plot(x, y - np.array([0, 0, 10, 10, 0, 0]), "k", linewidth=1)
    return figure, edges, baselines
