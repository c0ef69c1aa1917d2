"""Findings beside the class: statements of recordings that a network learnt.

`findings.csv` in a run folder names those that it may list, one row per finding: finding, output
(its place among the network's statements), auroc, low and high (95 %), recordings (with it, that
were tested on) and threshold (the probability above which it is listed). `benchmarks/findings.py`
writes it.
"""

import csv
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ecg_lib.errors import InputError

FINDINGS = "findings.csv"


@dataclass(frozen=True)
class KnownFinding:
    """A finding that a network may list, and how surely: a row of `findings.csv`."""

    finding: str
    output: int
    auroc: float
    low: float
    high: float
    recordings: int
    threshold: float


@dataclass(frozen=True)
class Finding:
    """A finding on a page.

    Attributes:
        finding: what is found, in words.
        probability: its probability, 0 to 1.
        auroc: AUROC of this finding on drawn recordings of patients that the network never saw.
    """

    finding: str
    probability: float
    auroc: float

    def __str__(self) -> str:
        return f"{self.finding} {self.probability:.2f} (AUROC {self.auroc:.2f})"


def read_findings(run: Path) -> list[KnownFinding]:
    """Read which findings the network of a run may list; none without `findings.csv`.

    Raises:
        InputError: if the file cannot be read.
    """
    path = run / FINDINGS
    if not path.is_file():
        return []
    kinds: dict[str, Any] = {field.name: field.type for field in fields(KnownFinding)}
    try:
        # pandas, which takes long to import, is not needed to answer for a page.
        with path.open(encoding="utf-8", newline="") as file:
            return [
                KnownFinding(**{name: kind(row[name]) for name, kind in kinds.items()})
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        raise InputError(
            f"{path} cannot be read: expected the columns {', '.join(kinds)}, numbers but for the "
            "first"
        ) from None


def findings_above(known: list[KnownFinding], probabilities: np.ndarray) -> list[Finding]:
    """Return the findings above their thresholds, the most probable first.

    Args:
        known: what the network may list.
        probabilities: of all its statements, `(statements,)`.
    """
    found = [
        Finding(of.finding, float(probabilities[of.output]), of.auroc)
        for of in known
        if probabilities[of.output] > of.threshold
    ]
    return sorted(found, key=lambda finding: -finding.probability)
