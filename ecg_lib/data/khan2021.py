"""All facts about the published pages (Khan et al. 2021) and the original experiment on them."""

import json
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from ecg_lib.data.classes import CLASSES
from ecg_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

DATA_NAME = "khan2021"
"""What the published pages are called in run folders and records."""

FORMAT_3X4 = {"layout": "standard_3x4_with_rhythm", "width": 2213, "height": 1572}
"""The one page format of which four of the five classes have many pages, see `clean-3x4`."""

CLASSES_3X4 = CLASSES[:4]

PUBLISHED_PREPROCESSING_VERSION = 2
"""The same as `PREPROCESSING_VERSION`, for crops of the published boxes. Version 2 exchanges red
and blue, as the published experiment does."""

PUBLISHED_CROP_ORDER = (0, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8)
"""The published experiment stacks its crops in the text order of their numbers: 1, 10, 11, ..."""

HALVE_AFTER = (10, 15)
"""Epochs after which the published experiment halves its learning rate."""

GLOBAL_CLIPNORM = 10.0
"""Maximum norm over all gradients together, as in the published experiment."""


@cache
def published_files() -> "pd.DataFrame":
    """Read what is known about the published pages.

    Returns:
        A DataFrame with one row per file of Khan et al. (both versions of Mendeley Data
        gwbz3fsgp8): file, class, page_id (one per distinct image), group (the exam number printed
        on the page, anonymised; pages of one exam must not be separated, nor two pairs of pages
        without one, P0133 and P0165, P0174 and P0183, that show the same ECG at two sizes), layout,
        sha256, and, for the files of the published experiment, published_order (place after its
        permutation), published_split and published_boxes (a key of `published_boxes.json`).

    Reference:
        Khan, Hussain and Malik, Data in Brief 34 (2021) 106762, doi 10.1016/j.dib.2021.106762.
    """
    import pandas as pd  # Here, since the command line's help needs the constants alone.

    with resources.files("ecg_lib.data").joinpath("khan2021.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={"published_order": "Int64"})


@cache
def published_classes() -> dict[str, str]:
    """Return the class of each published file by its SHA-256, where it is filed under one alone."""
    classes = published_files()[["sha256", "class"]].drop_duplicates()
    classes = classes.drop_duplicates("sha256", keep=False)
    return dict(zip(classes["sha256"], classes["class"], strict=True))


def is_published(page_ids: "pd.Series") -> "pd.Series":
    """Return whether pages are published ones, as a Series of bool for a Series of `page_id`s."""
    return page_ids.isin(published_files()["page_id"])


def published_pages(pages: "pd.DataFrame") -> "pd.DataFrame":
    """Select the files of the published experiment, in its order.

    Args:
        pages: the catalogue, see `ecg_lib.data.catalogue.find_pages`.

    Returns:
        A DataFrame with one row per file: each with the page on disk that has its bytes as source,
        and with its boxes in the published crop order.

    Raises:
        InputError: if a file is missing.
    """
    wanted = published_files().dropna(subset="published_order").sort_values("published_order")
    on_disk = pages.drop_duplicates("sha256").set_index("sha256")["file"]
    wanted = wanted.assign(source=wanted["sha256"].map(on_disk))
    missing = wanted[wanted["source"].isna()]
    if len(missing):
        raise InputError(
            f"the published protocol needs all {len(wanted):,} files of the published experiment "
            f"byte for byte, {len(missing):,} are missing, the first is "
            f"{missing['file'].iloc[0]}: expected version 1 of Mendeley Data gwbz3fsgp8, or "
            f"another protocol"
        )
    wanted["boxes"] = wanted["published_boxes"].map(published_boxes())
    columns = ["file", "source", "class", "page_id", "group", "layout", "sha256", "boxes"]
    return wanted[[*columns, "published_split"]].reset_index(drop=True)


def published_boxes() -> dict[str, list[list[int]]]:
    """Read the box sets of the published experiment: `{name: 13 boxes}`, in the crops' order."""
    path = resources.files("ecg_lib.data").joinpath("published_boxes.json")
    box_sets = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: [boxes[crop] for crop in PUBLISHED_CROP_ORDER] for name, boxes in box_sets.items()
    }


@cache
def published_hashes() -> tuple["pd.DataFrame", np.ndarray, np.ndarray]:
    """Read the hashes of the published pages, see `ecg_lib.data.identity`.

    Returns:
        `(pages, page_bits, ecg_bits)`: a DataFrame with one row per page (page_id, group, pixels),
        and the perceptual hashes of the pages and of their ECGs, bool arrays with one row per page.
    """
    import pandas as pd  # As in `published_files`.

    path = resources.files("ecg_lib.data").joinpath("khan2021_hashes.csv")
    with path.open(encoding="utf-8") as file:
        hashes = pd.read_csv(file, dtype=str)
    pages = published_files().drop_duplicates("page_id")[["page_id", "group"]]
    hashes = hashes.merge(pages, on="page_id")
    # A page whose leads cannot be found has no hash of its ECG. Zeros are far from every hash,
    # since half of its bits are ones.
    hashes["ecg"] = hashes["ecg"].fillna("0" * len(hashes["page"].iloc[0]))
    page_bits, ecg_bits = (bits_of_hashes(hashes[name]) for name in ("page", "ecg"))
    return hashes[["page_id", "group", "pixels"]], page_bits, ecg_bits


def bits_of_hashes(texts: Iterable[str]) -> np.ndarray:
    """Turn hexadecimal numbers into rows of bool."""
    packed = np.array([list(bytes.fromhex(text)) for text in texts], np.uint8)
    return np.unpackbits(packed, axis=1).astype(bool)


def published_accuracies() -> dict[str, dict[str, float]]:
    """Read the published experiment's results: `{model: {"test": ..., "validation": ..., ...}}`.

    Reference:
        github.com/prantik-paul-99/Heart-Condition-Classifier-from-ECG-images, its README.
    """
    with (
        resources.files("ecg_lib.data")
        .joinpath("published_results.json")
        .open(encoding="utf-8") as file
    ):
        return json.load(file)
