"""What published figures are worth: on how many distinct pages each was measured.

An interval counts its files as if each were another page. Where several files show one page, the
network gives one answer for all of them, and the interval is too narrow. The table names, for each
published evaluation whose files are known, the distinct pages behind them and the interval that
they allow, and beside it what Lead attention reaches on the same pages when none of them was
trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from ecg_lib.data.classes import CLASSES, DISPLAY_NAMES
from ecg_lib.data.khan2021 import published_accuracies, published_files
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import is_right, score
from ecg_lib.evaluation.intervals import CONFIDENCE, figures, with_interval
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import write_csv, write_text
from ecg_lib.runs.folder import read_run
from ecg_lib.runs.names import network_name
from ecg_lib.runs.predictions import SCORED_SPLITS

STEM = "literature_intervals"
"""Stem of the table's files, `.md` and `.csv`, in the results folder."""

OUR_RUN = "lead_attention-ink-varied-teachers-s1"
"""The run of this project that stands beside the published figures: the first seed of the committed
network, trained on every fold, so that it was tested once on each page."""


@dataclass(frozen=True)
class Evaluation:
    """A published evaluation.

    Attributes:
        study: the study.
        files: rows of the published files that it was evaluated on.
        among: rows of the files of all classes that they were told from.
        class_name: the class whose files these are, or None for all classes.
        right: number of files that are right as published, or None if that is not published.
        printed: the interval as printed, 0 to 1, or None.
    """

    study: str
    files: pd.DataFrame
    among: pd.DataFrame
    class_name: str | None = None
    right: int | None = None
    printed: tuple[float, float] | None = None


def evaluations() -> Iterator[Evaluation]:
    """Yield the published evaluations whose files are known."""
    files = published_files()
    infarction = "myocardial_infarction"
    second_version = files[files["file"].str.startswith("v2/")]
    yield Evaluation(
        "JMIR AI 2025;4:e75910",
        second_version[second_version["class"] == infarction],
        second_version,
        infarction,
        right=231,
        printed=(0.935, 0.985),
    )
    original = "Original experiment (AttentionVGG)"
    scored = files[files["published_split"].isin(SCORED_SPLITS)]
    share = published_accuracies()["attention_vgg"]["both"]
    yield Evaluation(original, scored, scored, right=round(share * len(scored)))
    for name in CLASSES:
        yield Evaluation(original, scored[scored["class"] == name], scored, name)


def interval(right: int, total: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, whose ends are 0 to 1.

    Reference:
        Wilson, Probable inference, the law of succession, and statistical inference, Journal of
        the American Statistical Association 22 (1927) 209-212.
    """
    low, high = proportion_confint(right, total, alpha=1 - CONFIDENCE, method="wilson")
    return float(low), float(high)


def literature_table(results: Path) -> pd.DataFrame:
    """Compare published figures with what their pages allow, and with this project's.

    Args:
        results: the results folder, with the runs of `OUR_RUN` below `khan2021/clean`.

    Returns:
        DataFrame with one row per evaluation: study, class, files, pages (distinct ones), right
        (files, as published), printed_low, printed_high, pages_right (the same share of the
        pages), low and high (the interval that so many pages allow), ours_pages (those of the
        pages that this project tested on), ours_right, ours_low and ours_high, and auroc, auroc_low
        and auroc_high (of the class against the other pages of the evaluation, or the mean over
        the classes); shares are 0 to 1, and NaN where nothing is published.

    Raises:
        InputError: if a run is missing or cannot be used.
    """
    ours = _our_pages(results)
    return pd.DataFrame([_row(evaluation, ours) for evaluation in evaluations()])


def _our_pages(results):
    """What the network of this project said of each page, with its label."""
    folder = results / "khan2021" / "clean"
    runs = [read_run(folder / f"{OUR_RUN}-f{fold}") for fold in range(PROTOCOLS["clean"].folds)]
    return pd.concat([score(run.predictions) for run in runs])


def _row(evaluation, ours):
    files = evaluation.files
    pages = files["page_id"].nunique()
    row = {
        "study": evaluation.study,
        "class": evaluation.class_name or "all",
        "files": len(files),
        "pages": pages,
    }
    if evaluation.right is not None:
        pages_right = round(evaluation.right / len(files) * pages)
        low, high = interval(pages_right, pages)
        row |= {"right": evaluation.right, "pages_right": pages_right, "low": low, "high": high}
    if evaluation.printed is not None:
        row |= {"printed_low": evaluation.printed[0], "printed_high": evaluation.printed[1]}
    of_pages = ours[ours["page_id"].isin(files["page_id"])]
    right = int(is_right(of_pages).sum())
    low, high = interval(right, len(of_pages))
    told_apart = figures(ours[ours["page_id"].isin(evaluation.among["page_id"])])
    auroc = told_apart.loc[f"auroc_{evaluation.class_name}" if evaluation.class_name else "auroc"]
    return row | {
        "ours_pages": len(of_pages),
        "ours_right": right,
        "ours_low": low,
        "ours_high": high,
        "auroc": auroc["value"],
        "auroc_low": auroc["low"],
        "auroc_high": auroc["high"],
    }


def literature_markdown(results: Path) -> str:
    """Return the table with its caption as Markdown; `literature_table` says what it holds."""
    return _markdown(literature_table(results), results)


def _markdown(table, results):
    shown = pd.DataFrame(
        {
            "study": table["study"],
            "class": table["class"].map(lambda name: DISPLAY_NAMES.get(name, name)),
            "files": table["files"],
            "distinct pages": table["pages"],
            "files right": _counts(table, "right", "files"),
            "interval as printed": _intervals(table, "printed_"),
            "pages right": _counts(table, "pages_right", "pages"),
            "interval of the pages": _intervals(table, ""),
            "ours, nothing leaks": _counts(table, "ours_right", "ours_pages"),
            "our interval": _intervals(table, "ours_"),
            "our AUROC": [
                with_interval(*row)
                for row in table[["auroc", "auroc_low", "auroc_high"]].to_numpy()
            ],
        }
    )
    record = read_run(results / "khan2021" / "clean" / f"{OUR_RUN}-f0").record
    percent = round(100 * CONFIDENCE)
    return (
        f"{markdown(shown)}\n"
        f"Shares in percent; {percent} % intervals after Wilson. Files that show the same page get "
        f"the same answer, so the pages count: the published share of files, taken as a share of "
        f"the distinct pages. In the original experiment, copies of scored pages were trained on "
        f"as well, which its interval does not show. Ours: {network_name(record)}, "
        f"trained as each network of the committed mean ({OUR_RUN}, {record.config.epochs} epochs) "
        f"under the protocol clean, on those of the pages that have one label, right only where "
        f"the class is the most probable of five. Pages of one exam are counted one by "
        f"one, in all three intervals. Our AUROC: the class against the other pages of the "
        f"evaluation, whatever the threshold, bootstrap over exams; for all classes their mean.\n"
    )


def _counts(table, part, whole):
    """Such as "231 of 239", empty where nothing is published."""
    return [
        "" if pd.isna(right) else f"{right:.0f} of {total:.0f} ({100 * right / total:.1f})"
        for right, total in zip(table[part], table[whole], strict=True)
    ]


def _intervals(table, prefix):
    return [
        "" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"
        for low, high in zip(table[f"{prefix}low"], table[f"{prefix}high"], strict=True)
    ]


def write_literature(results: Path) -> str:
    """Write the table into the results folder, as Markdown and CSV; return the Markdown.

    Raises:
        InputError: if a run is missing or cannot be used, or the folder cannot be written.
    """
    if not results.is_dir():
        raise InputError(f"{results} is not a folder: expected the results folder of the project")
    table = literature_table(results)
    text = _markdown(table, results)
    write_text(results / f"{STEM}.md", text)
    write_csv(results / f"{STEM}.csv", table, index=False, float_format="%.6g")
    return text
