"""The front page's table and chart: what was published, what is reproduced, what is left."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ecg_lib.data.khan2021 import published_accuracies
from ecg_lib.evaluation.fold_tables import MIXED_PRECISION, fold_table
from ecg_lib.evaluation.intervals import with_interval
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.evaluation.style import SERIES, new_axes
from ecg_lib.evaluation.tables import accuracy_table
from ecg_lib.models import DISPLAY_NAMES, PUBLISHED
from ecg_lib.runs.record import BASELINE_NAMES

FOLDS = "0 to 4"
"""The rows of the clean table in which every page was tested once."""


def summary_table(folder: Path) -> pd.DataFrame:
    """Compare each published network and each baseline under both protocols.

    Args:
        folder: a folder of folders of runs, `<results>/<data>`, with `published` and `clean`.

    Returns:
        DataFrame with one row per model: model, published (the accuracy that the experiment
        reports), reproduced (ours on the same files, test and validation together), clean, low and
        high (ours where nothing leaks, and its 95 % interval); 0 to 1, NaN where there is no run.
        A network that was only reproduced in mixed precision counts as reproduced.
    """
    reported = published_accuracies()
    runs = accuracy_table(folder / "published").set_index("model")["both"]
    clean = fold_table(folder / "clean")
    clean = clean[clean["folds"] == FOLDS].drop_duplicates("model").set_index("model")
    names = {name: DISPLAY_NAMES[name] for name in PUBLISHED} | BASELINE_NAMES
    return pd.DataFrame(
        [
            {
                "model": shown,
                "published": reported.get(name, {}).get("both", np.nan),
                "reproduced": runs.get(shown, runs.get(f"{shown}, {MIXED_PRECISION}", np.nan)),
                "clean": clean["accuracy"].get(shown, np.nan),
                "low": clean["accuracy_low"].get(shown, np.nan),
                "high": clean["accuracy_high"].get(shown, np.nan),
            }
            for name, shown in names.items()
        ]
    )


def summary_markdown(folder: Path) -> str:
    """Write `summary_table` as Markdown; a dash where a network was not trained."""
    table = summary_table(folder)
    intervals = [
        "–" if np.isnan(value) else with_interval(value, low, high)
        for value, low, high in table[["clean", "low", "high"]].to_numpy()
    ]
    shown = pd.DataFrame(
        {
            "model": table["model"],
            "as published": table["published"].map(_figure),
            "same files, here": table["reproduced"].map(_figure),
            "nothing leaks": intervals,
        }
    )
    return markdown(shown)


def _figure(value):
    return "–" if np.isnan(value) else f"{value:.3f}"


def summary_figure(folder: Path) -> Figure:
    """Draw `summary_table`: one line per model, from the published files to the clean pages."""
    table = summary_table(folder)
    places = np.arange(len(table))[::-1]
    figure, (axes,) = new_axes(8, 4.2)
    axes.hlines(places, table["clean"], table["reproduced"], color="0.75", lw=2, zorder=1)
    axes.plot(table["published"], places, "k|", ms=14, label="as published")
    axes.plot(
        table["reproduced"], places, "s", color=SERIES[1], ms=7, label="same files, reproduced"
    )
    errors = [table["clean"] - table["low"], table["high"] - table["clean"]]
    axes.errorbar(
        table["clean"],
        places,
        xerr=errors,
        fmt="o",
        color=SERIES[0],
        ms=7,
        capsize=3,
        label="nothing leaks (95 % interval)",
    )
    axes.set_yticks(places, table["model"])
    axes.set(xlabel="accuracy", xlim=(0.35, 1.0))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3, frameon=False)
    return figure
