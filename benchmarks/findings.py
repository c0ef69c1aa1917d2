"""What a network finds beside the class, on drawn recordings of patients that it never saw.

    python -m benchmarks.findings RUN RECORDINGS RESULTS

RUN is the folder of a run that had recordings as teachers, or of an ensemble of such runs,
RECORDINGS that of these recordings, see `ecg_lib.runs.teachers`. RESULTS is the folder that gets

    predictions.csv   one row per recording: record, patient, part, statements (separated by "; ")
                      and the probability of each statement
    table.csv         figures of each statement
    table.md          the same with what it means

and RUN gets `findings.csv`, see `ecg_lib.serving.findings`. Recordings of the part "choice" set the
thresholds; all figures are of the part "test", whose patients no training and no choice has seen.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.external import two_class_figures
from benchmarks.renderers import ATTRIBUTION, EXPORTS, LAYOUT, draw_by, read_drawn
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import PROBABILITY
from ecg_lib.evaluation.intervals import CONFIDENCE, RESAMPLES, with_interval
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.models import STATEMENTS as STATEMENTS_OUTPUT
from ecg_lib.runs.folder import check_boxes
from ecg_lib.runs.names import network_name
from ecg_lib.runs.network import load_network
from ecg_lib.runs.predictions import PREDICTIONS
from ecg_lib.runs.record import read_record
from ecg_lib.runs.teachers import (
    GROUPS,
    STATEMENTS,
    SUPERCLASSES,
    read_statements,
    statements_of,
)
from ecg_lib.serving.findings import FINDINGS

SPECIFICITY = 0.95
"""Share of the recordings without a finding for which it is not listed. Several are looked for: at
0.9 each, ten of them would be listed for two in three pages that have none."""

MIN_AUROC = 0.85
"""AUROC from which on a finding is listed. At the specificity above, this is a sensitivity of 0.43
(of two normal distributions of equal width): of a finding that one page in ten has, half of what is
listed is right. Below, most would be wrong."""

MIN_RECORDINGS = 8
"""Number of test recordings with a finding from which on it may be listed: of fewer, a single one
moves the AUROC by more than a tenth, and the bootstrap's interval is too narrow."""

SEPARATOR = "; "


def score_statements(recordings: Path, run: Path, jobs: int = -1) -> tuple[pd.DataFrame, list[str]]:
    """Draw recordings that the network was not trained on, and predict their statements.

    Args:
        recordings: the folder of recordings.
        run: the run folder with its weights.
        jobs: number of processes that draw and read pages.

    Returns:
        `(predictions, faults)`: a DataFrame with one row per recording whose page could be read
        (see the module's text), and a sentence for each other one.

    Raises:
        InputError: if the recordings or the run cannot be used.
    """
    labels = read_statements(recordings)
    labels = labels[labels["part"].isin(["choice", "test"])]
    record = read_record(run)
    check_boxes(run, record)
    network = load_network(run, record)
    if STATEMENTS_OUTPUT not in network.output:
        raise InputError(
            f"{run} has no output for statements: expected a run that had recordings as teachers"
        )
    files = [recordings / f"{name}.hea" for name in labels["record"]]
    with tempfile.TemporaryDirectory() as work:
        pages = Path(work, "pages")
        # What the folder of a page says of its class counts for nothing here.
        faults = draw_by(EXPORTS, files, pages / "normal", jobs)
        options = record.config.crop_options
        names, crops, refused = read_drawn(pages, Path(work, "prepared"), options, jobs)
    chances = network.predict(crops, verbose=0)[STATEMENTS_OUTPUT]
    scored = pd.DataFrame(chances, columns=[PROBABILITY + name for name in STATEMENTS])
    said = [SEPARATOR.join(np.array(STATEMENTS)[row > 0]) for row in statements_of(labels)]
    known = pd.DataFrame(
        {
            "record": labels["record"],
            "patient": labels["patient_id"],
            "part": labels["part"],
            "statements": said,
        }
    )
    return known.merge(scored.assign(record=names), on="record"), faults + refused


def statement_figures(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute how well each statement is told apart.

    Args:
        predictions: as `score_statements` returns them.

    Returns:
        DataFrame of statement, output (its place among the network's), recordings (of the part
        "test" with it), auroc, low, high, threshold, sensitivity and specificity (at the
        threshold); one row per statement that some test recording has.
    """
    choice, test = (predictions[predictions["part"] == part] for part in ("choice", "test"))
    rows = []
    for output, name in enumerate(STATEMENTS):
        chances = PROBABILITY + name
        threshold = choice.loc[~_have(choice, name), chances].quantile(SPECIFICITY)
        # Rounded as it is published, so that the figures are those of the published threshold.
        threshold = float(f"{threshold:.4g}")
        has = _have(test, name)
        if not has.any():
            continue
        labels = has.map({True: "present", False: "absent"})
        above = test[chances].to_numpy() - threshold
        found = two_class_figures(test["patient"], labels, ("absent", "present"), above)
        auroc = found.loc["auroc_present"]
        rows.append(
            {
                "statement": name,
                "output": output,
                "recordings": has.sum(),
                "auroc": auroc["value"],
                "low": auroc["low"],
                "high": auroc["high"],
                "threshold": threshold,
                "sensitivity": found.loc["sensitivity_present", "value"],
                "specificity": found.loc["specificity_present", "value"],
            }
        )
    return pd.DataFrame(rows)


def infarction_against_normal(predictions: pd.DataFrame) -> pd.Series:
    """Compute the AUROC of infarction against normal on test recordings that are one of the two.

    The score is the probability of the superclass MI less that of NORM.

    Args:
        predictions: as `score_statements` returns them.

    Returns:
        Series of value, low and high (95 %).
    """
    test = predictions[predictions["part"] == "test"]
    infarction, normal = (_have(test, name) for name in ("MI", "NORM"))
    test = test[infarction != normal]
    labels = _have(test, "MI").map({True: "infarction", False: "normal"})
    above = (test[PROBABILITY + "MI"] - test[PROBABILITY + "NORM"]).to_numpy()
    return two_class_figures(test["patient"], labels, ("normal", "infarction"), above).loc[
        "auroc_infarction"
    ]


def _have(predictions, name):
    return predictions["statements"].str.split(SEPARATOR).map(lambda said: name in said)


def findings_to_list(table: pd.DataFrame) -> pd.DataFrame:
    """Choose what may be listed with an answer: the rows of `findings.csv`.

    The superclasses are no findings: they say again, in another way, what the class says.

    Args:
        table: as `statement_figures` returns it.
    """
    chosen = table[
        table["statement"].isin(GROUPS)
        & (table["auroc"] >= MIN_AUROC)
        & (table["recordings"] >= MIN_RECORDINGS)
    ]
    columns = ["finding", "output", "auroc", "low", "high", "recordings", "threshold"]
    return chosen.rename(columns={"statement": "finding"})[columns]


def table_markdown(predictions: pd.DataFrame, network: str) -> str:
    """Write the figures and what they mean as Markdown.

    Args:
        predictions: as `score_statements` returns them.
        network: the network's name.
    """
    table = statement_figures(predictions)
    listed = set(findings_to_list(table)["finding"])
    shown = pd.DataFrame(
        {
            "statement": table["statement"],
            "recordings": table["recordings"],
            "AUROC": [with_interval(*row) for row in table[["auroc", "low", "high"]].to_numpy()],
            "threshold": table["threshold"].map("{:.3g}".format),
            "sensitivity": table["sensitivity"].map("{:.2f}".format),
            "specificity": table["specificity"].map("{:.2f}".format),
            "listed": ["yes" if name in listed else "" for name in table["statement"]],
        }
    )
    of_superclasses = table.loc[table["statement"].isin(SUPERCLASSES), "auroc"]
    test = predictions[predictions["part"] == "test"]
    chosen_on = (predictions["part"] == "choice").sum()
    percent = round(100 * CONFIDENCE)
    infarction = with_interval(*infarction_against_normal(predictions))
    return f"""\
{markdown(shown)}
{network}. {len(test)} recordings of {test["patient"].nunique()} patients on whom nothing was \
trained or chosen, drawn as {LAYOUT} pages; "recordings" counts those with the statement. In \
brackets: {percent} % intervals, bootstrap over patients ({RESAMPLES:,} resamples). Mean AUROC of \
the superclasses ({", ".join(SUPERCLASSES)}): {of_superclasses.mean():.3f}. Infarction against \
normal, by the difference of these two: AUROC {infarction}.

A threshold is set so that {SPECIFICITY:.0%} of those without the statement are below it, among \
{chosen_on} recordings of other patients. Listed with an answer are the statements, superclasses \
aside, with an AUROC of at least {MIN_AUROC} and at least {MIN_RECORDINGS} recordings. They are \
chosen by these figures, which are therefore a little too high for them. The pages that taught the \
network were drawn by the same program, from recordings of the same collection and other patients.

{ATTRIBUTION}
"""


def write_findings_test(run: Path, recordings: Path, results: Path) -> None:
    """Score recordings and write the files that the module's text describes.

    Args:
        run: path of the run folder.
        recordings: path of the folder of recordings.
        results: path of the folder that is written to.
    """
    predictions, faults = score_statements(recordings, run)
    results.mkdir(parents=True, exist_ok=True)
    write_csv(results / PREDICTIONS, predictions, index=False, float_format="%.6g")
    # What is published follows from what is committed, its rounded probabilities.
    predictions = pd.read_csv(results / PREDICTIONS, keep_default_na=False)
    table = statement_figures(predictions)
    write_csv(results / "table.csv", table, index=False, float_format="%.4g")
    write_csv(run / FINDINGS, findings_to_list(table), index=False, float_format="%.4g")
    text = table_markdown(predictions, network_name(read_record(run)))
    write_text(results / "table.md", text)
    print(*faults, text, sep="\n")


def main() -> None:
    """Score the recordings, then print and write the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.findings", description=__doc__)
    for name in ("run", "recordings", "results"):
        parser.add_argument(name, type=Path)
    try:
        write_findings_test(**vars(parser.parse_args()))
    except InputError as error:
        parser.exit(2, f"ecg_lib: {error}\n")


if __name__ == "__main__":
    main()
