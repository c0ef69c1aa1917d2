"""Tables as Markdown."""

import re
from html import escape

import pandas as pd

from ecg_lib.models import DISPLAY_NAMES, OURS
from ecg_lib.text import without_controls

_OUR_NAMES = tuple(DISPLAY_NAMES[name] for name in OURS)


def plain(text: object) -> str:
    """Keep Markdown, HTML and control characters from acting: a text may be a stranger's."""
    line = re.sub(r"\s*[\r\n]\s*", " ", str(text))
    return re.sub(r"([\\`*\[\]|])", r"\\\1", escape(without_controls(line), quote=False))


def markdown(table: pd.DataFrame) -> str:
    """Write a DataFrame, without its index, as a Markdown table."""
    heads = [str(name).replace("_", " ") for name in table]
    cells = table.astype(object).where(table.notna(), "").astype(str)
    rows = [heads, ["---"] * len(heads), *cells.to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def ours_below(table: pd.DataFrame) -> pd.DataFrame:
    """Move the rows of our own networks to the end of a table, under a heading of their own.

    Args:
        table: DataFrame with a column `model` that holds display names, with or without a variant.
    """
    ours = table["model"].str.startswith(_OUR_NAMES)
    if not ours.any():
        return table
    heading = pd.DataFrame({"model": ["**ours**"]}, columns=table.columns)
    # As objects: whole numbers stay whole beside the heading's empty cells.
    parts = [part.astype(object) for part in (table[~ours], heading, table[ours])]
    return pd.concat(parts, ignore_index=True)
