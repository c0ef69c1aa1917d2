"""What a network answers when a page is saved again, scanned, photographed, or shown on a screen.

    python -m benchmarks.robustness PAGES_FOLDER [RUN ...] [--results results/robustness]

PAGES_FOLDER holds the published pages; a RUN is a run folder with its weights, by default that of
the committed network. The pages are the test pages, the same for all runs, each changed in every
way of `VARIANTS`. robustness.csv and robustness.md get one row per run and variant, by_variant.csv
one row per variant; each run folder gets its own rows, robustness.csv, from which its model card
takes them. It takes about twenty minutes on one free core.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import f1_score
from tqdm import tqdm

from benchmarks.run_names import refuse_equal_names
from ecg_lib.drawing.page_versions import compressed, dimmed, picture_of, rescaled
from ecg_lib.errors import InputError, PageRefused
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.models import load
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL
from ecg_lib.runs.predictions import read_predictions
from ecg_lib.runs.record import read_record

TABLE = "robustness.csv"
COVID = "covid_19"
REFUSED = "refused"
AS_IT_IS = "as it is"


def resaved(percent: int) -> Callable:
    """Resize a page, as an export at another resolution does."""
    return lambda luma, rng: rescaled(luma, percent / 100)


def blurred(luma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur by one pixel."""
    return cv2.GaussianBlur(luma, (0, 0), 1)


def tilted(luma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn by one degree."""
    height, width = luma.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 1, 1)
    return cv2.warpAffine(luma, turn, (width, height), borderValue=255)


def in_situation(situation: str) -> Callable:
    """Scan, print or photograph a page, or photograph it on a screen."""
    return lambda luma, rng: picture_of(luma, situation, rng)[0]


VARIANTS = {
    AS_IT_IS: lambda luma, rng: luma,
    **{f"saved at {percent} %": resaved(percent) for percent in (50, 60, 70, 80, 90, 110, 130)},
    "blurred by one pixel": blurred,
    "tilted by one degree": tilted,
    "dimmed to 70 %": lambda luma, rng: dimmed(luma, 0.7),
    "JPEG of quality 30": lambda luma, rng: compressed(luma, 30),
    "scanned": in_situation("scan"),
    "printed and scanned": in_situation("print"),
    "photographed": in_situation("photograph"),
    "on a screen": in_situation("screen"),
}
"""Ways to change a page: functions of a uint8 page `(height, width)` and a random generator."""


def labels_of(runs: Sequence[Path], pages_folder: Path, jobs: int = -1) -> dict[str, pd.DataFrame]:
    """Classify each test page in each variant by each run.

    Args:
        runs: run folders with their weights, all with the same test pages.
        pages_folder: the folder of the published pages.
        jobs: number of processes that change and read pages.

    Returns:
        By the name of the run's folder a DataFrame of class names or `REFUSED`, one row per page:
        one column per variant, and label.

    Raises:
        InputError: if the runs have different test pages, or two of them the same name.
    """
    refuse_equal_names(runs)
    records = [read_record(run) for run in runs]
    tested = _tested_by_all(runs)
    options = [record.config.crop_options for record in records]
    distinct = [chosen for place, chosen in enumerate(options) if chosen not in options[:place]]
    # Each page is changed and read once, whatever the number of runs.
    crops = Parallel(n_jobs=jobs)(
        delayed(_crops_of_variants)(pages_folder / file, number, distinct)
        for number, file in enumerate(tqdm(tested["file"], desc="pages"))
    )
    read = np.array([[found is not None for found in of_page] for of_page in crops])
    labels = {}
    for run, record, chosen in zip(runs, records, options, strict=True):
        place = distinct.index(chosen)
        inputs = np.stack([found[place] for of_page in crops for found in of_page if found])
        logits = load(run / MODEL).predict(inputs, verbose=0)
        answers = np.full(read.shape, REFUSED, dtype=object)
        answers[read] = np.array(record.classes)[logits.argmax(axis=1)]
        table = pd.DataFrame(answers, tested["file"], list(VARIANTS))
        labels[run.name] = table.assign(label=tested["label"].values)
    return labels


def _tested_by_all(runs):
    """The test pages of the runs, which must be the same."""
    of_runs = [read_predictions(run) for run in runs]
    tested = [table.loc[table["split"] == "test", ["file", "label"]] for table in of_runs]
    for run, table in zip(runs, tested, strict=True):
        if set(table["file"]) != set(tested[0]["file"]):
            raise InputError(
                f"{run} was tested on other pages than {runs[0]}: expected runs of the same "
                "protocol and fold"
            )
    return tested[0]


def _crops_of_variants(file, number, options):
    """For each variant of a page its crops by each of `options`, or None where it is refused."""
    luma = read_luma(file)
    crops = []
    for place, change in enumerate(VARIANTS.values()):
        picture = np.ascontiguousarray(change(luma, np.random.default_rng([number, place])))
        try:
            found = detect(picture)
        except PageRefused:
            crops.append(None)
            continue
        flat = rectify(picture, found)
        crops.append([crop_leads(flat, found.boxes, **chosen) for chosen in options])
    return crops


def robustness_table(labels: pd.DataFrame) -> pd.DataFrame:
    """Summarise `labels_of`.

    Returns:
        DataFrame with one row per variant: read (share of pages whose leads are found), accuracy
        and macro_f1 (a page that is not read is not right), changed (share of pages with another
        label than as they are, of those read both times) and to_covid (share of the pages of other
        classes that become COVID-19 and were not as they are); 0 to 1.
    """
    truth, before = labels["label"], labels[AS_IT_IS]
    rows = []
    for variant in VARIANTS:
        found = labels[variant]
        read = found != REFUSED
        both = read & (before != REFUSED)
        others = truth != COVID
        rows.append(
            {
                "variant": variant,
                "read": read.mean(),
                "accuracy": (found == truth).mean(),
                "macro_f1": f1_score(
                    truth, found, labels=sorted(truth.unique()), average="macro", zero_division=0
                ),
                "changed": (found != before)[both].mean(),
                "to_covid": ((found == COVID) & (before != COVID))[others].mean(),
            }
        )
    return pd.DataFrame(rows)


def joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of several runs to one, whose first column is the run."""
    return pd.concat(tables, names=["run"]).reset_index("run").reset_index(drop=True)


def by_variant(table: pd.DataFrame) -> pd.DataFrame:
    """Put the runs side by side: each one's "accuracy, share changed" by variant, as text."""
    cells = table["accuracy"].map("{:.2f}".format) + ", " + table["changed"].map("{:.2f}".format)
    wide = table.assign(cells=cells).pivot(index="variant", columns="run", values="cells")
    return wide.loc[table["variant"].unique(), table["run"].unique()].reset_index()


def write(tables: dict[str, pd.DataFrame], pages: int, folder: Path) -> str:
    """Write the tables of all runs as CSV and Markdown; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    table = joined(tables)
    write_csv(folder / TABLE, table, index=False, float_format="%.4f")
    write_csv(folder / "by_variant.csv", by_variant(table), index=False)
    shares = ["read", "accuracy", "macro_f1", "changed", "to_covid"]
    shown = table.assign(**{name: table[name].map("{:.3f}".format) for name in shares})
    text = (
        f"{markdown(shown)}\n{pages} test pages of `clean`, fold 0, none of them trained on; each "
        f"changed in {len(VARIANTS) - 1} ways. Shares of pages; a page that is not read counts as "
        f"not right. changed: another label than as it is, of the pages read both times. to covid: "
        f"pages of other classes that became COVID-19. Written by `python -m "
        f"benchmarks.robustness`.\n"
    )
    write_text(folder / "robustness.md", text)
    return text


def main() -> None:
    """Measure each run, then print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("runs", nargs="*", type=Path, default=[Path(DEFAULT_RUN)])
    parser.add_argument("--results", type=Path, default=Path("results/robustness"))
    options = parser.parse_args()
    try:
        labels = labels_of(options.runs, options.pages_folder)
    except InputError as error:
        parser.exit(2, f"ecg_lib: {error}\n")
    tables = {run: robustness_table(of_run) for run, of_run in labels.items()}
    for run in options.runs:
        write_csv(run / TABLE, tables[run.name], index=False, float_format="%.3f")
    print(write(tables, len(next(iter(labels.values()))), options.results))


if __name__ == "__main__":
    main()
