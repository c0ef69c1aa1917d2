"""A trained network on recordings from elsewhere, drawn as pages: normal against infarction.

    python -m benchmarks.external RUN RECORDINGS RESULTS

RUN is a run folder with its weights, such as `results/models/lead_attention`; RECORDINGS a folder
of recordings with a `labels.csv` (record, patient_id, label: NORM or MI, infarction_stadium1);
RESULTS the folder that gets

    predictions.csv   one row per recording: record, patient, stage, label, one logit per class
    table.csv         the figures with their intervals, beside those on the run's own pages
    table.md          the same with what it means

A score is p(myocardial infarction) + p(history of it). The threshold is set on the run's validation
pages, so that it depends neither on the recordings nor on the run's test pages.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.recording_pages import draw_recordings
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import PROBABILITY
from ecg_lib.evaluation.intervals import CONFIDENCE, RESAMPLES, figures, with_interval
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.models import load
from ecg_lib.runs.folder import MODEL, check_boxes, read_record
from ecg_lib.runs.names import network_name
from ecg_lib.runs.predictions import (
    LOGIT,
    PREDICTIONS,
    classes_of,
    predicted_classes,
    read_predictions,
    scored_parts,
)

LAYOUT = "standard_3x4_with_rhythm"

COLUMNS = ("record", "patient_id", "label", "infarction_stadium1")
"""What `labels.csv` says of each recording."""

CLASS_OF_LABEL = {"NORM": "normal", "MI": "myocardial_infarction"}

INFARCTIONS = ("myocardial_infarction", "history_of_mi")
"""The classes of pages that count as infarction; the recordings' label does not separate them."""

ATTRIBUTION = (
    "Recordings: PTB-XL 1.0.3, Wagner et al., Scientific Data 7 (2020) 154, doi "
    "10.1038/s41597-020-0495-6, PhysioNet, CC BY 4.0; a sample of them, drawn as pages for this "
    "test and not shown here."
)


def score_recordings(recordings: Path, run: Path, jobs: int = -1) -> tuple[pd.DataFrame, list[str]]:
    """Draw labelled recordings as pages and classify them with a network.

    Args:
        recordings: the folder of recordings with `labels.csv`.
        run: a run folder with its weights.
        jobs: number of processes that draw and prepare pages.

    Returns:
        `(predictions, faults)`: a DataFrame with one row per recording whose page could be read
        (see the module's text), and a list with a sentence for each other one.

    Raises:
        InputError: if the labels or the run are missing, or if the run's boxes depend on the label.
    """
    labels = read_labels(recordings)
    record = read_record(run)
    check_boxes(run, record)
    files = {
        label: [recordings / f"{name}.hea" for name in of_label["record"]]
        for label, of_label in labels.groupby("label")
    }
    names, crops, faults = read_drawn(files, record.config.crop_options, jobs)
    logits = load(run / MODEL).predict(crops, verbose=0)
    scored = pd.DataFrame(logits, columns=[LOGIT + name for name in record.classes])
    return labels.merge(scored.assign(record=names), on="record"), faults


def read_drawn(
    files: Mapping[str, Sequence[Path]], options: dict, jobs: int = -1
) -> tuple[list[str], np.ndarray, list[str]]:
    """Draw recordings as pages in `LAYOUT`, and read these as any page is read.

    Args:
        files: the recordings' header files, by the class in whose folder their pages lie.
        options: keyword arguments of `crop_leads`.
        jobs: number of processes.

    Returns:
        `(names, crops, faults)`: of each page that could be read the name of its recording and its
        crops, `(pages, 13, height, width)`; and a sentence for each other one.
    """
    with tempfile.TemporaryDirectory() as work:
        outcomes = []
        for label, of_label in files.items():
            outcomes += draw_recordings(of_label, Path(work, "pages", label), LAYOUT, jobs=jobs)
        prepared = prepare(Path(work, "pages"), Path(work, "prepared"), **options, jobs=jobs)
        crops = np.array(prepared.crops[prepared.pages.index])
    faults = [text for status, text in outcomes if status == "left out"]
    faults += list(prepared.bad["file"] + ": " + prepared.bad["reason"])
    return [Path(file).stem for file in prepared.pages["file"]], crops, faults


def read_labels(recordings: Path) -> pd.DataFrame:
    """Read the labels of a folder of recordings.

    Returns:
        DataFrame of record, patient, stage and label, one row per recording.

    Raises:
        InputError: if the folder has no `labels.csv`, or one with other columns or labels.
    """
    path = recordings / "labels.csv"
    if not path.is_file():
        raise InputError(f"{path} is not there: expected a table of records and their labels")
    labels = pd.read_csv(path, dtype={"record": str})
    if not set(COLUMNS) <= set(labels) or not labels["label"].isin(CLASS_OF_LABEL).all():
        raise InputError(
            f"{path} cannot be used: expected the columns {', '.join(COLUMNS)}, and for a label "
            f"{' or '.join(CLASS_OF_LABEL)}"
        )
    return pd.DataFrame(
        {
            "record": labels["record"],
            "patient": labels["patient_id"].astype(int),
            "stage": labels["infarction_stadium1"].fillna(""),
            "label": labels["label"].map(CLASS_OF_LABEL),
        }
    )


def infarction_scores(predictions: pd.DataFrame) -> np.ndarray:
    """Compute the log odds of infarction, p(myocardial infarction) + p(history of it).

    Args:
        predictions: DataFrame with one logit per class.

    Returns:
        A float array, one value per row.
    """
    logits = predictions.filter(like=LOGIT)
    is_infarction = np.isin(classes_of(predictions), INFARCTIONS)
    sums = [logsumexp(logits.loc[:, chosen], axis=1) for chosen in (is_infarction, ~is_infarction)]
    return sums[0] - sums[1]


def best_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """Find the threshold with the highest sensitivity + specificity; of equal ones, the lowest.

    Args:
        scores: float array.
        positive: bool array of the same length.

    Reference:
        Youden, Index for rating diagnostic tests, Cancer 3 (1950) 32-35.
    """
    distinct = np.unique(scores)
    thresholds = (distinct[1:] + distinct[:-1]) / 2
    said = scores > thresholds[:, np.newaxis]
    index = said[:, positive].mean(axis=1) - said[:, ~positive].mean(axis=1)
    return float(thresholds[index.argmax()])


def judge(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Compute figures of normal against infarction at a threshold, with their intervals.

    Args:
        predictions: DataFrame with label, group and one logit per class; rows of other classes
            are ignored.
        threshold: log odds above which a page is called an infarction.

    Returns:
        DataFrame as `ecg_lib.evaluation.intervals.figures` returns it, for the classes "normal"
        and "infarction".
    """
    used = _normal_and_infarction(predictions)
    labels = used["label"].where(used["label"] == "normal", "infarction")
    above = infarction_scores(used) - threshold
    return two_class_figures(used["group"], labels, ("normal", "infarction"), above)


def two_class_figures(
    groups: pd.Series, labels: pd.Series, classes: tuple[str, str], above: np.ndarray
) -> pd.DataFrame:
    """Compute figures of one class against another at a threshold, with their intervals.

    Args:
        groups: what the bootstrap draws, by row.
        labels: which of `classes` each row is of.
        classes: the two.
        above: by how much the score of the second class is above the threshold, by row.

    Returns:
        DataFrame as `ecg_lib.evaluation.intervals.figures` returns it.
    """
    # So the threshold lies at one half, where the more probable class changes.
    shares = expit(above)
    probabilities = dict(zip(classes, (1 - shares, shares), strict=True))
    return figures(
        pd.DataFrame({"group": groups, "label": labels}).assign(
            **{PROBABILITY + name: of_class for name, of_class in probabilities.items()}
        )
    )


def _normal_and_infarction(predictions):
    return predictions[predictions["label"].isin(("normal", *INFARCTIONS))]


def external_table(predictions: pd.DataFrame, run: Path) -> tuple[pd.DataFrame, float]:
    """Compute the figures on the recordings, and beside them those on the run's own pages.

    Args:
        predictions: the recordings', as `score_recordings` returns them.
        run: the run folder.

    Returns:
        `(table, threshold)`: a DataFrame of text, and the threshold as a
        probability.
    """
    own = scored_parts(read_predictions(run), read_record(run).config.protocol)
    fixed_on = _normal_and_infarction(own["validation"])
    threshold = best_threshold(
        infarction_scores(fixed_on), (fixed_on["label"] != "normal").to_numpy()
    )
    tested = {
        "the run's validation pages, which set the threshold": own["validation"],
        "the run's test pages": own["test"],
        "the recordings, drawn": predictions.assign(group=predictions["patient"]),
    }
    rows = [_row(name, pages, threshold) for name, pages in tested.items()]
    return pd.DataFrame(rows), float(expit(threshold))


def _row(name, pages, threshold):
    found = judge(pages, threshold)
    labels = _normal_and_infarction(pages)["label"]
    shown = {
        title: with_interval(*found.loc[f"{figure}_infarction"])
        for title, figure in (
            ("AUROC", "auroc"),
            ("sensitivity", "sensitivity"),
            ("specificity", "specificity"),
        )
    }
    normal = (labels == "normal").sum()
    return {"pages": name, "normal": normal, "infarction": len(labels) - normal, **shown}


def table_markdown(predictions: pd.DataFrame, run: Path, faults: list[str]) -> str:
    """Write the table, how the recordings were classified, and what it means, as Markdown."""
    table, threshold = external_table(predictions, run)
    record = read_record(run)
    called = pd.crosstab(predictions["label"], predicted_classes(predictions))
    called = called.reindex(columns=record.classes, fill_value=0)
    called = called.rename(index=DISPLAY_NAMES, columns=DISPLAY_NAMES).rename_axis(columns=None)
    stages = predictions.loc[predictions["label"] != "normal", "stage"].value_counts()
    counted = ", ".join(f"{number} {stage}" for stage, number in stages.items())
    percent = round(100 * CONFIDENCE)
    return f"""\
{markdown(table)}
{network_name(record)}, trained on {record.data} under the protocol \
{record.config.protocol}, fold {record.config.fold}; normal against infarction. A \
score is p(myocardial infarction) + p(history of it), the threshold {threshold:.3f}, where \
sensitivity + specificity is highest on the validation pages. In brackets: {percent} % intervals, \
bootstrap over patients, on the run's own pages over exams ({RESAMPLES:,} resamples). \
{len(predictions)} recordings of {predictions["patient"].nunique()} patients, drawn as {LAYOUT} \
pages, {len(faults)} left out.

Most of these infarctions are old or of unknown age (as annotated: {counted}), while the network \
learnt fresh and old ones apart. The pages are drawn by a program, the patients are of another \
country, and the recordings come from another device with other filters. So this is no measure of \
how well infarctions are found, but of how much of what was learnt outlives a change of source.

What the network takes them for, the most probable of all classes:

{markdown(called.reset_index(names="recorded as"))}
{ATTRIBUTION}
"""


def write_external_test(run: Path, recordings: Path, results: Path) -> None:
    """Score recordings and write the folder that the module's text describes.

    Args:
        run: path of the run folder.
        recordings: path of the folder of recordings.
        results: path of the folder that is written to.
    """
    predictions, faults = score_recordings(recordings, run)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(results / PREDICTIONS, predictions, index=False, float_format="%.6g")
    # What is published follows from what is committed, its rounded logits.
    predictions = pd.read_csv(results / PREDICTIONS, keep_default_na=False)
    write_csv(results / "table.csv", external_table(predictions, run)[0], index=False)
    text = table_markdown(predictions, run, faults)
    write_text(results / "table.md", text)
    print(*faults, text, sep="\n")


def main() -> None:
    """Score the recordings, then print and write the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.external", description=__doc__)
    for name in ("run", "recordings", "results"):
        parser.add_argument(name, type=Path)
    try:
        write_external_test(**vars(parser.parse_args()))
    except InputError as error:
        parser.exit(2, f"ecg_lib: {error}\n")


if __name__ == "__main__":
    main()
