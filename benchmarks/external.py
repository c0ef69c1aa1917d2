"""Trained networks on recordings from elsewhere, drawn as pages: normal against infarction.

    python -m benchmarks.external RECORDINGS RUN [CONTROL ...] [--teachers TEACHERS ...]

RECORDINGS is a folder of recordings with a `labels.csv` (record, patient_id, label: NORM or MI,
infarction_stadium1); RUN a run folder with its weights, such as `results/models/lead_attention`; a
CONTROL another one that it is compared with; TEACHERS the folders of recordings that taught them,
if any did, whose patients are left out. Each recording is drawn in the ways of
`benchmarks.renderers`. The folder of results gets

    predictions.csv   one row per run and page: run, drawn, record, patient, stage, label,
                      statements (log odds of the statement MI to NORM, where the network learnt
                      them) and one logit per class
    table.csv         the figures with their intervals, beside those on the run's own pages
    table.md          the same with what it means

and RUN gets its own rows of table.csv, external.csv, from which its model card takes them. A score
is p(myocardial infarction) + p(history of it). The threshold is set on the run's validation pages,
so that it depends neither on the recordings nor on the run's test pages.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp

from benchmarks.renderers import (
    ATTRIBUTION,
    EXPORTS,
    LAYOUT,
    draw_by,
    installed_renderers,
    patients_who_taught,
    read_drawn,
)
from benchmarks.run_names import refuse_equal_names
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import PROBABILITY
from ecg_lib.evaluation.intervals import (
    CONFIDENCE,
    RESAMPLES,
    auroc_gain,
    figures,
    with_interval,
)
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.models import LOGITS, STATEMENTS
from ecg_lib.runs.folder import check_boxes, read_record
from ecg_lib.runs.names import network_name
from ecg_lib.runs.network import by_name, load_network
from ecg_lib.runs.predictions import (
    LOGIT,
    PREDICTIONS,
    classes_of,
    predicted_classes,
    read_predictions,
    scored_parts,
)
from ecg_lib.runs.teachers import INFARCTIONS, SUPERCLASSES
from ecg_lib.training.teaching import SMALLEST

COLUMNS = ("record", "patient_id", "label", "infarction_stadium1")
"""What `labels.csv` says of each recording."""

CLASS_OF_LABEL = {"NORM": "normal", "MI": "myocardial_infarction"}

GAIN = "AUROC of the first, less this"

BY_STATEMENTS = "statements"
AUROC_BY_STATEMENTS = "AUROC by statements"


def score_recordings(
    recordings: Path, runs: Sequence[Path], teachers: Sequence[Path] = (), jobs: int = -1
) -> tuple[pd.DataFrame, list[str]]:
    """Draw labelled recordings as pages and classify them with networks.

    Args:
        recordings: the folder of recordings with `labels.csv`.
        runs: run folders with their weights.
        teachers: the folders of recordings that taught the networks.
        jobs: number of processes that draw and prepare pages.

    Returns:
        `(predictions, faults)`: a DataFrame with one row per run and page that could be read (see
        the module's text), and a list with a sentence for each other recording or page.

    Raises:
        InputError: if the labels or a run are missing, if two runs have the same name, if the
            boxes of a run depend on the label, or if `teachers` are not those of a run.
    """
    refuse_equal_names(runs)
    records = [read_record(run) for run in runs]
    taught: set[int] = set()
    for run, record in zip(runs, records, strict=True):
        check_boxes(run, record)
        taught |= patients_who_taught(teachers, record, run)
    labels = read_labels(recordings)
    labels = labels[~labels["patient"].isin(taught)]
    networks = [load_network(run, record) for run, record in zip(runs, records, strict=True)]
    faults, scored = [], []
    with tempfile.TemporaryDirectory() as work:
        for drawn in installed_renderers():
            pages, prepared = Path(work, drawn), Path(work, "prepared", drawn)
            for label, of_label in labels.groupby("label"):
                files = [recordings / f"{name}.hea" for name in of_label["record"]]
                faults += draw_by(drawn, files, pages / label, jobs)
            for run, record, network in zip(runs, records, networks, strict=True):
                names, crops, refused = read_drawn(
                    pages, prepared, record.config.crop_options, jobs
                )
                faults += refused
                outputs = by_name(network.predict(crops, verbose=0))
                of_run = pd.DataFrame(
                    outputs[LOGITS], columns=[LOGIT + name for name in record.classes]
                )
                of_run[BY_STATEMENTS] = _odds_by_statements(outputs)
                scored.append(of_run.assign(run=run.name, drawn=drawn, record=names))
    joined = pd.concat(scored).merge(labels, on="record")
    first = ["run", "drawn", *labels.columns, BY_STATEMENTS]
    joined = joined[[*first, *joined.columns.difference(first, sort=False)]]
    # A page that cannot be read is named once, not once per run.
    return joined, list(dict.fromkeys(faults))


def _odds_by_statements(outputs):
    """Log odds of the statement MI to NORM, one per page; NaN of a network without statements."""
    if STATEMENTS not in outputs:
        return np.nan
    chances = np.maximum(outputs[STATEMENTS], SMALLEST)
    normal, infarction = (chances[:, SUPERCLASSES.index(name)] for name in CLASS_OF_LABEL)
    return np.log(infarction) - np.log(normal)


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


def read_scored(results: Path) -> pd.DataFrame:
    """Read the predictions of a folder of results, as `score_recordings` returns them."""
    empty = {BY_STATEMENTS: ""}  # Elsewhere an empty cell is a text.
    return pd.read_csv(results / PREDICTIONS, keep_default_na=False, na_values=empty)


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
    return _infarction_figures(used, infarction_scores(used) - threshold)


def _infarction_figures(used, above):
    """Figures of normal against infarction by any score, of rows of these classes alone."""
    labels = used["label"].where(used["label"] == "normal", "infarction")
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
        run: the folder of the run that the others are compared with.

    Returns:
        `(table, threshold)`: a DataFrame of text, and the threshold as a probability.
    """
    own = scored_parts(read_predictions(run), read_record(run).config.protocol)
    fixed_on = _normal_and_infarction(own["validation"])
    threshold = best_threshold(
        infarction_scores(fixed_on), (fixed_on["label"] != "normal").to_numpy()
    )
    rows = [
        _row(run.name, "validation pages, which set the threshold", own["validation"], threshold),
        _row(run.name, "test pages", own["test"], threshold),
    ]
    predictions = predictions.rename(columns={"patient": "group"})
    for drawn, of_drawn in predictions.groupby("drawn", sort=False):
        pages = f"recordings drawn {drawn}"
        by_run = dict(list(of_drawn.groupby("run", sort=False)))
        for name, scored in by_run.items():
            if name == run.name:
                rows.append(_row(name, pages, scored, threshold))
            else:
                rows.append(_row_of_control(name, pages, by_run[run.name], scored))
    return pd.DataFrame(rows).fillna(""), float(expit(threshold))


def of_run(table: pd.DataFrame, run: Path) -> pd.DataFrame:
    """Return the rows of an `external_table` on one run, as its model card shows them."""
    return table.loc[table["run"] == run.name].drop(columns=["run", GAIN], errors="ignore")


def _row(name, pages, scored, threshold):
    found = judge(scored, threshold)
    shown = {
        title: with_interval(*found.loc[f"{figure}_infarction"])
        for title, figure in (
            ("AUROC", "auroc"),
            ("sensitivity", "sensitivity"),
            ("specificity", "specificity"),
        )
    }
    return {"run": name, "pages": pages, **_counts(scored), **shown, **_by_statements(scored)}


def _by_statements(scored):
    """The AUROC by the statements in the place of the class, where there are any."""
    if BY_STATEMENTS not in scored or scored[BY_STATEMENTS].isna().any():
        return {}
    found = _infarction_figures(scored, scored[BY_STATEMENTS].to_numpy())
    return {AUROC_BY_STATEMENTS: with_interval(*found.loc["auroc_infarction"])}


def _row_of_control(name, pages, of_run, of_control):
    """The control's AUROC, and by how much the run's is above it on the pages of both."""
    both = of_run.merge(of_control, on="record", suffixes=("", " of control"))
    scores = [
        infarction_scores(scored.set_index("record").loc[both["record"]])
        for scored in (of_run, of_control)
    ]
    gain = auroc_gain(both["group"], both["label"] != "normal", *scores)
    auroc = judge(of_control, 0).loc["auroc_infarction"]
    shown = {"AUROC": with_interval(*auroc), GAIN: with_interval(*gain)}
    shown |= _by_statements(of_control)
    return {"run": name, "pages": pages, **_counts(of_control), **shown}


def _counts(scored):
    labels = _normal_and_infarction(scored)["label"]
    normal = (labels == "normal").sum()
    return {"normal": normal, "infarction": len(labels) - normal}


def table_markdown(
    predictions: pd.DataFrame, run: Path, table: pd.DataFrame, threshold: float
) -> str:
    """Write the table, how the recordings were classified, and what it means, as Markdown.

    Args:
        predictions: the recordings', as `score_recordings` returns them.
        run: the folder of the run that the others are compared with.
        table: the `external_table` of these.
        threshold: the one that it returns.
    """
    record = read_record(run)
    exports = predictions[(predictions["run"] == run.name) & (predictions["drawn"] == EXPORTS)]
    called = pd.crosstab(exports["label"], predicted_classes(exports))
    called = called.reindex(columns=record.classes, fill_value=0)
    called = called.rename(index=DISPLAY_NAMES, columns=DISPLAY_NAMES).rename_axis(columns=None)
    stages = exports.loc[exports["label"] != "normal", "stage"].value_counts()
    counted = ", ".join(f"{number} {stage}" for stage, number in stages.items())
    percent = round(100 * CONFIDENCE)
    left_out = (
        " Patients whose recordings taught it are left out." if record.config.teachers else ""
    )
    return f"""\
{markdown(table)}
{run.name}: {network_name(record)}, trained on {record.data} under the protocol \
{record.config.protocol}, fold {record.config.fold}; normal against infarction. A \
score is p(myocardial infarction) + p(history of it), the threshold {threshold:.3f}, where \
sensitivity + specificity is highest on the validation pages. By statements: by the odds of the \
statement MI to NORM, which a network learns from recordings beside the class. In brackets: \
{percent} % intervals, bootstrap over patients, on the run's own pages over exams \
({RESAMPLES:,} resamples); the difference to another run is paired, with the same patients drawn \
for both. \
{exports["record"].nunique()} recordings of {exports["patient"].nunique()} patients, drawn in the \
layout {LAYOUT} by several programs and read as any page is read.{left_out}

Most of these infarctions are old or of unknown age (as annotated: {counted}), while the network \
learnt fresh and old ones apart. The pages are drawn by programs, and the patients are of another \
country than the published pages. So this is no measure of how well infarctions are found, but of \
how much of what was learnt outlives a change of source.

What {run.name} takes the recordings drawn {EXPORTS} for, the most probable of all classes:

{markdown(called.reset_index(names="recorded as"))}
{ATTRIBUTION}
"""


def write_external_test(
    recordings: Path, runs: Sequence[Path], results: Path, teachers: Sequence[Path] = ()
) -> None:
    """Score recordings and write the folder that the module's text describes.

    Args:
        recordings: path of the folder of recordings.
        runs: paths of the run folders, the one that the others are compared with first.
        results: path of the folder that is written to.
        teachers: the folders of recordings that taught the networks.
    """
    predictions, faults = score_recordings(recordings, runs, teachers)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(results / PREDICTIONS, predictions, index=False, float_format="%.6g")
    # What is published follows from what is committed, its rounded logits.
    predictions = read_scored(results)
    table, threshold = external_table(predictions, runs[0])
    write_csv(results / "table.csv", table, index=False)
    write_csv(runs[0] / "external.csv", of_run(table, runs[0]), index=False)
    text = table_markdown(predictions, runs[0], table, threshold)
    write_text(results / "table.md", text)
    print(*faults, text, sep="\n")


def main() -> None:
    """Score the recordings, then print and write the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.external", description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[])
    parser.add_argument("--results", type=Path, default=Path("results/external"))
    try:
        write_external_test(**vars(parser.parse_args()))
    except InputError as error:
        parser.exit(2, f"ecg_lib: {error}\n")


if __name__ == "__main__":
    main()
