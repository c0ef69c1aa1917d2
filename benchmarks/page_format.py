"""What a network knows of the format of a page, whatever the ECG on it.

    python -m benchmarks.page_format RECORDINGS [RUN ...] [--teachers TEACHERS ...]

RECORDINGS is a folder of recordings with the `labels.csv` of `benchmarks.external`; a RUN is a run
folder with its weights, by default that of the committed network; TEACHERS the folders of
recordings that taught them, if any did, whose patients are left out. Each recording is drawn as an
export of an electrocardiograph, in each of the small formats of the published COVID-19 pages, and
in the style of another electrocardiograph. format.csv and format.md get one row per run and format.
It takes about two minutes per run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from keras import ops
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.external import read_labels
from benchmarks.renderers import patients_who_taught
from benchmarks.robustness import COVID, joined
from benchmarks.run_names import refuse_equal_names
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.recording_pages import draw_recording
from ecg_lib.drawing.recordings import read_recordings
from ecg_lib.drawing.simulation import RATE
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import random_style
from ecg_lib.errors import InputError
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.models import load
from ecg_lib.models.layers import networks_of
from ecg_lib.pages.crops import crop_leads
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL
from ecg_lib.runs.record import read_record

EXPORT = "standard_3x4_with_rhythm"
SMALL = ("portrait_3x4_with_rhythm", "landscape_3x4_with_rhythm")
STYLED = "other styles"
"""The layout of the export, in one random style per recording."""

FORMATS = (*SMALL, STYLED)
PARTS = 5
"""Parts of the patients; a probe is tried on each part after the others have taught it."""


def format_table(
    run: Path, recordings: Path, teachers: Sequence[Path] = (), jobs: int = -1
) -> pd.DataFrame:
    """Compare what a network makes of the same recordings in two formats.

    The boxes of the leads are those that were drawn, so that nothing depends on the reading.

    Args:
        run: the run folder, with its weights.
        recordings: the folder of recordings with `labels.csv`.
        teachers: folders of recordings, that of the network among them if any taught it.
        jobs: number of processes that draw pages.

    Returns:
        DataFrame with one row per other format: recordings, to_covid (share that become COVID-19
        and were not as exports), changed (share with another label than as an export), and
        probe_auroc: how surely a linear model on the last features tells the two formats apart,
        on patients that it was not fitted on; 0.5 is a guess.
    """
    record, labels = read_record(run), read_labels(recordings)
    labels = labels[~labels["patient"].isin(patients_who_taught(teachers, record, run))]
    drawn = Parallel(n_jobs=jobs)(
        delayed(_crops)(recordings / f"{name}.hea", record.config.crop_options)
        for name in labels["record"]
    )
    there = np.array([crops is not None for crops in drawn])
    crops = np.stack([crops for crops in drawn if crops is not None])
    model = load(run / MODEL)
    both = keras.Model(model.input, [last_features(model), model.output])
    features, logits = both.predict(crops.reshape(-1, *crops.shape[2:]), verbose=0)
    features = features.reshape(*crops.shape[:2], -1)
    answers = np.array(record.classes)[logits.argmax(axis=1)].reshape(crops.shape[:2])
    rows = []
    for place, name in enumerate(FORMATS, start=1):
        before, after = answers[:, 0], answers[:, place]
        rows.append(
            {
                "format": name,
                "recordings": len(crops),
                "to_covid": ((after == COVID) & (before != COVID)).mean(),
                "changed": (after != before).mean(),
                "probe_auroc": probe(features[:, 0], features[:, place], labels["patient"][there]),
            }
        )
    return pd.DataFrame(rows)


def _crops(file, options):
    """The crops of one recording in each format, or None where it cannot be read."""
    recordings, _ = read_recordings(file)
    if not recordings:
        return None
    pages = [draw_recording(recordings[0], layout) for layout in (EXPORT, *SMALL)]
    rng = np.random.default_rng(list(file.stem.encode()))
    signals = page_signals(recordings[0]).signals
    styled = draw_styled(signals, RATE, EXPORT, random_style(rng, EXPORT))
    pages.append((styled.image, styled.boxes))
    return np.stack(
        [crop_leads(np.asarray(page.convert("L")), boxes, **options) for page, boxes in pages]
    )


def last_features(model: keras.Model) -> keras.KerasTensor:
    """Return what the last layers of a model's networks read, `(batch, values)`."""
    features = [
        keras.Model(network.input, network.get_layer("logits").input)(model.input)
        for network in networks_of(model)
    ]
    return ops.concatenate(features, axis=1) if len(features) > 1 else features[0]


def probe(exports: np.ndarray, others: np.ndarray, patients: pd.Series) -> float:
    """Compute the AUROC with which a linear model tells features of one format from the other.

    Args:
        exports: float array `(recordings, values)`.
        others: the same recordings in the other format.
        patients: the patient of each recording; none is in two parts.
    """
    features = np.concatenate([exports, others])
    is_other = np.repeat([0, 1], len(exports))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    scores = cross_val_predict(
        model,
        features,
        is_other,
        groups=np.tile(patients, 2),
        cv=GroupKFold(min(PARTS, patients.nunique())),
        method="decision_function",
    )
    return float(roc_auc_score(is_other, scores))


def write(tables: dict[str, pd.DataFrame], folder: Path) -> str:
    """Write the tables of all runs as CSV and Markdown; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    table = joined(tables)
    write_csv(folder / "format.csv", table, index=False, float_format="%.3f")
    text = (
        f"{markdown(pd.read_csv(folder / 'format.csv', dtype=str))}\n"
        f"Recordings of PTB-XL (CC BY 4.0), none of them of a patient with COVID-19, drawn as "
        f"{EXPORT} pages and in another format: {STYLED} is the same layout with the grid, pen, "
        f"font, resolution and scale of other machines. to covid: share that become COVID-19 and "
        f"were not as exports. changed: share with another label than as an export. probe auroc: a "
        f"linear model on the network's last features, cross-validated over patients, tells the "
        f"formats apart; 0.5 is a guess. `predict` gives no answer where all training pages of a "
        f"layout were of the class that the network names. Written by `python -m "
        f"benchmarks.page_format`.\n"
    )
    write_text(folder / "format.md", text)
    return text


def main() -> None:
    """Measure each run, then print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("runs", nargs="*", type=Path, default=[Path(DEFAULT_RUN)])
    parser.add_argument("--results", type=Path, default=Path("results/robustness"))
    parser.add_argument("--teachers", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    try:
        refuse_equal_names(options.runs)
        tables = {
            run.name: format_table(run, options.recordings, options.teachers)
            for run in options.runs
        }
    except InputError as error:
        parser.exit(2, f"ecg_lib: {error}\n")
    print(write(tables, options.results))


if __name__ == "__main__":
    main()
