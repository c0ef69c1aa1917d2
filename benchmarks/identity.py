"""How surely a published page is recognised that was saved again, or stands in another frame.

    python -m benchmarks.identity PAGES [--results results/identity] [--write-hashes]

PAGES holds v1/ and v2/ of the published data. For each way to change a page the table has how many
copies are recognised, and the median and the maximum of the bits in which their hashes, of the page
and of the ECG alone, differ from those of the original. The last row has the nearest of all other
pages: their minimum should stay above the limits. It takes ten minutes.

With --write-hashes the hashes are made anew first: ecg_lib/data/khan2021_hashes.csv.
"""

import argparse
from importlib import resources
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ecg_lib.data.identity import (
    MAX_ECG_DISTANCE,
    MAX_PAGE_DISTANCE,
    hash_ecg,
    hash_page,
    hash_pixels,
    hash_text,
    identify,
)
from ecg_lib.data.khan2021 import published_files, published_hashes
from ecg_lib.errors import PageRefused
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma

PER_LAYOUT = 25
"""Pages of each layout that are changed in every way."""

SEED = 2021

FRAME = 0.02
"""White space that a frame leaves above and below the ECG, as a share of the page's height."""


def main(arguments=None):
    """Write the table, and the hashes where they are wanted."""
    options = _options(arguments)
    pages = published_files().drop_duplicates("page_id")
    if options.write_hashes:
        path = resources.files("ecg_lib.data").joinpath("khan2021_hashes.csv")
        write_csv(path, hashes_of(options.pages, pages), index=False)
        published_hashes.cache_clear()
    table = distances_of(options.pages, pages)
    options.results.mkdir(parents=True, exist_ok=True)
    write_csv(options.results / "identity.csv", table, index=False)
    text = (
        f"Recognised: at most {MAX_PAGE_DISTANCE} of 1,024 bits of the page's hash differ, or at "
        f"most {MAX_ECG_DISTANCE} of the ECG's.\n\n{markdown(table)}"
    )
    write_text(options.results / "identity.md", text)
    print(text)


def _options(arguments):
    parser = argparse.ArgumentParser("python -m benchmarks.identity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pages", type=Path, metavar="PAGES", help="folder with v1/ and v2/")
    parser.add_argument("--results", type=Path, default=Path("results/identity"))
    parser.add_argument("--write-hashes", action="store_true", help="make the hashes anew")
    return parser.parse_args(arguments)


def hashes_of(folder, pages):
    """The table of hashes: one row per page, without one of the ECG if its leads are not found.

    Args:
        folder: folder of the published pages.
        pages: DataFrame of distinct pages, as `published_files` has them.
    """
    rows = []
    for page in tqdm(pages.to_dict("records"), desc="hashing", unit="page", mininterval=10):
        luma = read_luma(folder / page["file"])
        found = look(luma)
        rows.append(
            {
                "page_id": page["page_id"],
                "pixels": hash_pixels(luma),
                "page": hash_text(hash_page(luma)),
                "ecg": found and hash_text(hash_ecg(*found)),
            }
        )
    return pd.DataFrame(rows)


def look(luma):
    """A page, rectified, and the boxes of its leads; None if it is refused."""
    cv2.setNumThreads(1)
    try:
        found = detect(luma)
    except PageRefused:
        return None
    return rectify(luma, found), found.boxes


def distances_of(folder, pages):
    """The table of distances, one row for each of `WAYS`, and one of different pages."""
    known, page_bits, ecg_bits = published_hashes()
    chosen = pages[pages["layout"] != "three_lead_strip"].groupby("layout")
    chosen = chosen.sample(PER_LAYOUT, random_state=SEED).to_dict("records")
    copies = {way: [] for way in WAYS}
    for page in tqdm(chosen, desc="copying", unit="page", mininterval=10):
        luma = read_luma(folder / page["file"])
        _, boxes = look(luma)
        edges = np.array(boxes)
        ecg = (*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0))
        (row,) = np.flatnonzero(known["page_id"] == page["page_id"])
        for number, (way, change) in enumerate(WAYS.items()):
            rng = np.random.default_rng([SEED, number, row])
            copy = change(luma, ecg, rng)
            found = look(copy)
            copies[way].append(
                {
                    "leads_found": found is not None,
                    "recognised": bool(found) and identify(copy, *found)["group"] == page["group"],
                    "page": np.count_nonzero(hash_page(copy) != page_bits[row]),
                    "ecg": found and np.count_nonzero(hash_ecg(*found) != ecg_bits[row]),
                }
            )
    rows = [summary(way, pd.DataFrame(of_way)) for way, of_way in copies.items()]
    others = {"page": nearest_others(known, page_bits), "ecg": nearest_others(known, ecg_bits)}
    table = pd.DataFrame([*rows, summary("nearest other page", pd.DataFrame(others))])
    return table.astype({"leads_found": "Int64", "recognised": "Int64"})


def nearest_others(known, bits):
    """How far each page that has a hash is from the one most like it, by page_id."""
    known, ones = known[bits.any(axis=1)], bits[bits.any(axis=1)].astype(np.float32)
    differing = ones @ (1 - ones).T
    differing += differing.T
    pages, groups = known["page_id"].to_numpy(), known["group"].to_numpy()
    # A group that is named after a page shows one ECG; the pages of an exam show several.
    one_ecg = (groups[:, None] == groups) & np.isin(groups, pages)
    differing[one_ecg | (pages[:, None] == pages)] = np.inf
    return pd.Series(differing.min(axis=1), index=pages)


def summary(way, copies):
    """A row of the table."""
    counts = {name: copies[name].sum() for name in ("leads_found", "recognised") if name in copies}
    distances = {
        f"{name}_bits_{word}": int(copies[name].astype(float).agg(how))
        for name in ("page", "ecg")
        for word, how in (("minimum", "min"), ("median", "median"), ("maximum", "max"))
    }
    return {"pages": way, "number": len(copies), **counts, **distances}


def saved(quality, scale=1.0):
    """A way to change a page: save it at another size and as a JPEG."""

    def change(luma, ecg, rng):
        size = tuple(round(scale * side) for side in luma.shape[::-1])
        picture, file = Image.fromarray(luma).resize(size), BytesIO()
        picture.save(file, "JPEG", quality=quality)
        with Image.open(file) as copy:
            return np.asarray(copy)

    return change


def in_frame(luma, ecg, rng):
    """Give a page another header: white, with a banner and letters."""
    left, top, _, _ = ecg
    body = luma[max(top - round(FRAME * len(luma)), 0) :]
    header = np.full((rng.integers(80, 300), luma.shape[1]), 255, np.uint8)
    header[:50] = rng.integers(256)
    place = (int(left), 75)
    cv2.putText(header, "12-LEAD ECG  HOSPITAL", place, cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    return np.vstack([header, body])


def with_margins(luma, ecg, rng):
    """Put a page on a larger white sheet."""
    return cv2.copyMakeBorder(
        luma, *map(int, rng.integers(20, 300, 4)), cv2.BORDER_CONSTANT, value=255
    )


def cut_tight(luma, ecg, rng):
    """Cut away what is printed around the ECG, but for its calibration pulses."""
    left, top, right, bottom = ecg
    height, width = luma.shape
    frame, pulses = round(FRAME * height), round(0.05 * (right - left))
    top, bottom = max(top - frame, 0), min(bottom + frame, height)
    left, right = max(left - pulses, 0), min(right + frame, width)
    return np.ascontiguousarray(luma[top:bottom, left:right])


def all_together(luma, ecg, rng):
    """Another header, another sheet, another size, and saved again."""
    framed = with_margins(in_frame(luma, ecg, rng), ecg, rng)
    return saved(50, rng.uniform(0.5, 1.3))(framed, ecg, rng)


WAYS = {
    "saved at quality 95": saved(95),
    "saved at quality 30": saved(30),
    "at 90 % of the size": saved(75, 0.9),
    "at half the size": saved(75, 0.5),
    "at 130 % of the size": saved(75, 1.3),
    "another header": in_frame,
    "other margins": with_margins,
    "cut tight": cut_tight,
    "header, margins, size, quality": all_together,
}
"""Ways to change a page: functions of its grey levels, its ECG's box and a random generator."""


if __name__ == "__main__":
    main()
