"""What a finished run reaches on its own test pages: figures with intervals, and their tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.data.khan2021 import published_files
from ecg_lib.evaluation.calibration import (
    CALIBRATED,
    PROBABILITY,
    brier_score,
    expected_calibration_error,
    score,
    scored_classes,
)
from ecg_lib.evaluation.intervals import CONFIDENCE, RESAMPLES, figures, with_interval
from ecg_lib.evaluation.out_of_distribution import answering_of
from ecg_lib.runs.folder import read_run
from ecg_lib.runs.names import network_name
from ecg_lib.runs.predictions import SCORED_SPLITS, require_pages
from ecg_lib.runs.record import Answering, RunRecord

OVERALL = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy (mean sensitivity)",
    "macro_f1": "macro F1",
    "auroc": "AUROC (one class against the rest, mean)",
}

INTERVALS = (
    f"In brackets: {round(100 * CONFIDENCE)} % intervals, bootstrap over groups of pages "
    f"(exams), {RESAMPLES:,} resamples."
)


@dataclass(frozen=True)
class Measured:
    """A finished run, measured on its own test pages.

    Attributes:
        run: the run folder.
        record: its record.
        predictions: DataFrame of its predictions.
        scored: DataFrame of its test pages, as `score` returns it.
        figures: DataFrame of all figures with their intervals, as `figures` returns it.
    """

    run: Path
    record: RunRecord
    predictions: pd.DataFrame
    scored: pd.DataFrame
    figures: pd.DataFrame

    @property
    def network(self) -> str:
        return network_name(self.record)

    @property
    def protocol(self) -> str:
        return self.record.config.protocol

    @property
    def summary(self) -> str:
        """One sentence that says how often the network was right, and on what."""
        return (
            f"{self.network}, trained on {self.record.data} under the protocol {self.protocol}: "
            f"right on {_interval(self.figures.loc['accuracy'])} of {len(self.scored):,} test pages"
        )

    def as_record(self) -> dict[str, Any]:
        """Return what is measured as a dict for JSON: run, network, data, protocol, test_pages,
        and figures, each with value, low and high."""
        return {
            "run": str(self.run),
            "network": self.network,
            "data": self.record.data,
            "protocol": self.protocol,
            "test_pages": len(self.scored),
            # Where no page can tell, a figure is not a number, which JSON does not know.
            "figures": self.figures.astype(object)
            .where(self.figures.notna(), None)
            .to_dict("index"),
        }

    @property
    def overall_table(self) -> pd.DataFrame:
        """DataFrame of text: figure, test pages."""
        rows = [(words, _interval(self.figures.loc[name])) for name, words in OVERALL.items()]
        return pd.DataFrame(rows, columns=["figure", "test pages"])

    @property
    def class_table(self) -> pd.DataFrame:
        """DataFrame of text: class, pages, sensitivity, specificity, AUROC."""
        rows = []
        for name in scored_classes(self.scored):
            rows.append(
                {
                    "class": DISPLAY_NAMES[name],
                    "pages": (self.scored["label"] == name).sum(),
                    **{
                        title: _interval(self.figures.loc[f"{figure}_{name}"])
                        for title, figure in (
                            ("sensitivity", "sensitivity"),
                            ("specificity", "specificity"),
                            ("AUROC", "auroc"),
                        )
                    },
                }
            )
        return pd.DataFrame(rows)

    @property
    def layout_table(self) -> pd.DataFrame:
        """DataFrame of text: layout, pages, accuracy, pages of each class. Without rows where the
        pages are not the published ones."""
        known = published_files().drop_duplicates("page_id").set_index("page_id")["layout"]
        rows = []
        for layout, pages in self.scored.groupby(self.scored["page_id"].map(known)):
            counts = pages["label"].value_counts()
            rows.append(
                {
                    "layout": layout,
                    "pages": len(pages),
                    "accuracy": _interval(figures(pages).loc["accuracy"]),
                    **{
                        DISPLAY_NAMES[name]: counts.get(name, 0)
                        for name in scored_classes(self.scored)
                    },
                }
            )
        return pd.DataFrame(rows)

    @property
    def calibration_table(self) -> pd.DataFrame:
        """DataFrame of text: probabilities, expected calibration error, Brier score."""
        rows = []
        for words, prefix in (
            ("as trained", PROBABILITY),
            (f"divided by {self.temperature:.3f}, as shown", CALIBRATED),
        ):
            error = expected_calibration_error(self.scored, prefix)
            brier = brier_score(self.scored, prefix)
            rows.append((f"logits {words}", f"{error:.3f}", f"{brier:.3f}"))
        columns = ["probabilities from", "expected calibration error", "Brier score (0 to 2)"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def temperature(self) -> float:
        return self.answering.temperature

    @property
    def answering(self) -> Answering:
        return answering_of(self.run, self.record)


def measure(run: str | Path) -> Measured:
    """Measure a finished run on its own test pages.

    Args:
        run: the run folder.

    Raises:
        InputError: if it holds no finished run.
    """
    found = read_run(Path(run))
    require_pages(found.folder, found.predictions, SCORED_SPLITS)
    scored = score(found.predictions)
    return Measured(*found, scored, figures(scored))


def _interval(figure):
    return with_interval(*figure[["value", "low", "high"]])
