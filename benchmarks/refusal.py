"""Which pages are answered: by reading, by the out-of-distribution score, and by both.

    python -m benchmarks.refusal PAGES_FOLDER RECORDINGS [--run results/models/lead_attention]

PAGES_FOLDER holds the published pages, RECORDINGS a sample of PTB-XL. The table goes to refusal.csv
in the run folder, from which the run's model card takes it. It takes about ten minutes on two free
cores. Recordings are drawn in the ways of `benchmarks.renderers`.

The score alone is tried on crops that were cut where a page that can be read has its leads; of
drawn pages on the crops of those that were read.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from benchmarks.renderers import LAYOUT, draw_by, installed_renderers
from benchmarks.without_ecg import pictures
from ecg_lib.data.prepared import PreparedSet, prepare
from ecg_lib.data.protocols import split_pages
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.errors import InputError, PageRefused
from ecg_lib.evaluation.out_of_distribution import BATCH
from ecg_lib.files import write_csv
from ecg_lib.models import SCORE
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma
from ecg_lib.runs.folder import DEFAULT_RUN
from ecg_lib.serving.predictor import Predictor

ALTERED = {
    "real pages upside down": lambda luma: luma[::-1, ::-1],
    "real pages mirrored": lambda luma: luma[:, ::-1],
    "real pages in negative": lambda luma: 255 - luma,
}
ALTERED_PAGES = 40
DRAWN_PER_CLASS = 20
SEED = 2021


def is_read(luma: np.ndarray) -> bool:
    """Say whether the leads of a picture are found."""
    try:
        detect(luma)
    except PageRefused:
        return False
    return True


def share_read(lumas: Sequence[np.ndarray]) -> float:
    """Compute the share of pictures whose leads are found."""
    return float(np.mean(Parallel(n_jobs=-1)(delayed(is_read)(luma) for luma in lumas)))


def scaled_boxes(page: pd.Series, luma: np.ndarray) -> list[list[int]]:
    """Scale a page's boxes to a picture of another size."""
    height, width = luma.shape
    scale = np.array([width / page["width"], height / page["height"]] * 2)
    return np.round(json.loads(page["boxes"]) * scale).astype(int).tolist()


def foreign(
    pages_folder: Path,
    recordings: Path,
    prepared: PreparedSet,
    validation_rows: np.ndarray,
    options: dict,
) -> Iterator[tuple[str, np.ndarray, float | None]]:
    """Yield `(kind, crops, share that can be read)`; None for crops that come from no page."""
    rng = np.random.default_rng(SEED)
    pages = prepared.pages
    real = np.array(prepared.crops[validation_rows])
    orders = [rng.permutation(real.shape[1]) for _ in real]
    shuffled = np.stack([crops[order] for crops, order in zip(real, orders, strict=True)])
    yield "real crops, leads in random order", shuffled, None
    yield "real crops, lead II 13 times", np.repeat(real[:, 1:2], real.shape[1], axis=1), None
    yield "noise", rng.integers(0, 256, real.shape).astype(np.uint8), None

    lumas = [luma for _, luma in pictures()]
    usual = pages[pages["layout"] == LAYOUT].iloc[0]
    crops = [crop_leads(luma, scaled_boxes(usual, luma), **options) for luma in lumas]
    yield "pictures that are not ECGs", np.stack(crops), share_read(lumas)

    chosen = pages.loc[rng.choice(validation_rows, ALTERED_PAGES, replace=False)]
    for kind, alter in ALTERED.items():
        lumas = [
            np.ascontiguousarray(alter(read_luma(pages_folder / file))) for file in chosen["source"]
        ]
        crops = [
            crop_leads(luma, scaled_boxes(page, luma), **options)
            for luma, (_, page) in zip(lumas, chosen.iterrows(), strict=True)
        ]
        yield kind, np.stack(crops), share_read(lumas)

    files = sorted(recordings.glob("*.hea"))
    for kind, draw in {
        "synthetic pages": lambda folder: draw_set(folder, DRAWN_PER_CLASS, seed=SEED, jobs=-1),
        **{
            f"PTB-XL, drawn {renderer}": partial(_draw_one_class, renderer, files)
            for renderer in installed_renderers()
        },
    }.items():
        with tempfile.TemporaryDirectory() as work:
            draw(Path(work, "pages"))
            drawn = prepare(Path(work, "pages"), Path(work, "prepared"), **options)
            read = len(drawn.pages) / (len(drawn.pages) + len(drawn.bad))
            yield kind, np.array(drawn.crops[drawn.pages.index]), read


def _draw_one_class(renderer, files, folder):
    draw_by(renderer, files, folder / "normal")


def refusal_table(
    pages_folder: Path, recordings: Path, run: Path, prepared_folder: Path
) -> pd.DataFrame:
    """Measure how many pages of each kind are let through.

    Returns:
        DataFrame with one row per kind: pages (the kind), number, read, near and answered, the
        shares that are read, whose score is within the limit, and both.

    Raises:
        InputError: if the network has no out-of-distribution score.
    """
    predictor = Predictor(run)
    record, limit = predictor.record, predictor.answering.largest_score
    if limit is None:
        raise InputError(f"{run} has no out-of-distribution score: expected a run that has one")
    options = record.config.crop_options
    prepared = prepare(pages_folder, prepared_folder, **options)
    split = split_pages(
        record.config.protocol, prepared.pages, record.config.seed, record.config.fold
    )
    rows = {name: split.index[split == name].to_numpy() for name in ("validation", "test")}

    def row(kind, crops, read):
        batches = np.split(crops, range(BATCH, len(crops), BATCH))
        scores = np.concatenate([predictor.network(batch)[SCORE] for batch in batches])
        near = (scores <= limit).mean()
        answered = None if read is None else read * near
        return {
            "pages": kind,
            "number": len(crops),
            "read": read,
            "near": near,
            "answered": answered,
        }

    table = [
        # Only pages that can be read are prepared.
        row(f"real {name} pages", np.array(prepared.crops[of_split]), 1.0)
        for name, of_split in rows.items()
    ]
    for kind in foreign(pages_folder, recordings, prepared, rows["validation"], options):
        table.append(row(*kind))
        print(table[-1], flush=True)
    return pd.DataFrame(table)


def main() -> None:
    """Measure, and write the table into the run folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--run", type=Path, default=Path(DEFAULT_RUN))
    parser.add_argument("--prepared", type=Path, default=Path("prepared/khan2021"))
    options = parser.parse_args()
    table = refusal_table(options.pages_folder, options.recordings, options.run, options.prepared)
    write_csv(options.run / "refusal.csv", table, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
