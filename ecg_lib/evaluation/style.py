"""The one look of all figures: quiet axes, and colours that colour-blind readers tell apart."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

CLASS_COLOURS = {
    "normal": "#009e73",
    "abnormal_heartbeat": "#e69f00",
    "myocardial_infarction": "#d55e00",
    "history_of_mi": "#cc79a7",
    "covid_19": "#0072b2",
}
"""One colour per class, the same everywhere. Every bar bears its name, so that grey will do.

Reference:
    Okabe and Ito, Color Universal Design, 2008.
"""

SERIES = ("#0072b2", "#e69f00", "#444444", "#cc79a7")
"""Colours of what is compared in one chart; the first two also differ in grey."""

MET, MISSED = SERIES[:2]
"""Colours of targets."""


def new_axes(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Begin a chart: a figure of this size in inches, and its axes side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    row = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in row:
        axes.set_prop_cycle(color=SERIES)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    return figure, row
