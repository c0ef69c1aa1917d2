"""Which foreign pages are refused: by reading, by out-of-distribution measures, and by both.

    python -m benchmarks.refusal PAGES_FOLDER RECORDINGS [--run results/models/lead_attention]

PAGES_FOLDER holds the published pages, RECORDINGS a sample of PTB-XL. The table goes to refusal.csv
in the run folder, from which the run's model card takes it. It takes about ten minutes on two free
cores.

A measure alone is tried on crops that were cut where a page that can be read has its leads. Every
measure has the threshold that keeps 99 % of the run's validation pages. `predict` uses the spread
of logits (`ecg_lib.evaluation.out_of_distribution`): the features separate better, but they need
the training pages, which no run folder holds.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from keras import ops
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

from benchmarks.without_ecg import pictures
from ecg_lib.data.prepared import PreparedSet, prepare
from ecg_lib.data.protocols import split_pages
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.drawing.recording_pages import draw_recordings
from ecg_lib.errors import PageRefused
from ecg_lib.evaluation.out_of_distribution import (
    KEPT,
    answering_of,
    out_of_distribution_score,
)
from ecg_lib.files import write_csv
from ecg_lib.models import load
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL, read_record
from ecg_lib.serving.explain import networks_of

ALTERED = {
    "real pages upside down": lambda luma: luma[::-1, ::-1],
    "real pages mirrored": lambda luma: luma[:, ::-1],
    "real pages in negative": lambda luma: 255 - luma,
}
ALTERED_PAGES = 40
DRAWN_PER_CLASS = 20
LAYOUT = "standard_3x4_with_rhythm"
SEED = 2021

CHOSEN = "spread of logits"
"""The measure that `predict` uses."""


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

    for kind, draw in {
        "synthetic pages": lambda folder: draw_set(folder, DRAWN_PER_CLASS, seed=SEED, jobs=-1),
        "PTB-XL, drawn": lambda folder: draw_recordings(
            sorted(recordings.glob("*.hea")), folder / "normal", LAYOUT, jobs=-1
        ),
    }.items():
        with tempfile.TemporaryDirectory() as work:
            draw(Path(work, "pages"))
            drawn = prepare(Path(work, "pages"), Path(work, "prepared"), **options)
            read = len(drawn.pages) / (len(drawn.pages) + len(drawn.bad))
            yield kind, np.array(drawn.crops[drawn.pages.index]), read


def last_features(model: keras.Model) -> keras.KerasTensor:
    """Return what the last layers of a model's networks read, `(batch, values)`."""
    features = [
        keras.Model(network.input, network.get_layer("logits").input)(model.input)
        for network in networks_of(model)
    ]
    return ops.concatenate(features, axis=1) if len(features) > 1 else features[0]


class Measures:
    """Four out-of-distribution measures of crops; each grows with the distance from training."""

    def __init__(self, model, train_crops, answering):
        self.model = keras.Model(model.input, [last_features(model), model.output])
        self.answering = answering
        self.train_features, _ = self.model.predict(train_crops, verbose=0)

    def __call__(self, crops):
        features, logits = self.model.predict(crops, verbose=0)
        shares = softmax(logits / self.answering.temperature, axis=1)
        to_training = cdist(features, self.train_features, "cosine")
        return pd.DataFrame(
            {
                "largest probability": -shares.max(axis=1),
                "energy": -logsumexp(logits, axis=1),
                CHOSEN: out_of_distribution_score(logits, self.answering),
                "cosine distance of features": to_training.min(axis=1),
            }
        )


def refusal_table(
    pages_folder: Path, recordings: Path, run: Path, prepared_folder: Path
) -> pd.DataFrame:
    """Measure how many pages of each kind are let through, one row per kind."""
    record = read_record(run)
    config = record.config
    options = config.crop_options
    prepared = prepare(pages_folder, prepared_folder, **options)
    split = split_pages(config.protocol, prepared.pages, config.seed, config.fold)
    rows = {name: split.index[split == name].to_numpy() for name in ("train", "validation", "test")}
    crops = {name: np.array(prepared.crops[of_split]) for name, of_split in rows.items()}
    measures = Measures(load(run / MODEL), crops["train"], answering_of(run, record))
    limits = measures(crops["validation"]).quantile(KEPT, interpolation="higher")

    def row(kind, crops, read):
        within = (measures(crops) <= limits).mean()
        both = None if read is None else read * within[CHOSEN]
        return {"pages": kind, "number": len(crops), "read": read, **within, "both": both}

    table = [row("real test pages", crops["test"], None)]
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
