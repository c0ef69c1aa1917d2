"""Measure whether explanations name the crops that matter, on pages that a model never saw.

    python -m benchmarks.deletion PAGES_FOLDER [--run results/models/lead_attention]

PAGES_FOLDER holds the published pages. At most `PAGES` of the run's test pages are explained. Their
crops are blanked in the order of the explanations, and in random order. The mean probability of the
most probable class is written to deletion.csv in the run folder, one row per number of blanked
crops. It takes some minutes on two free cores.
"""

import argparse
from pathlib import Path

import numpy as np

from ecg_lib.files import write_csv
from ecg_lib.models import load
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL
from ecg_lib.runs.predictions import read_predictions
from ecg_lib.serving import explain

PAGES = 100


def main() -> None:
    """Explain the pages, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("--run", type=Path, default=Path(DEFAULT_RUN))
    options = parser.parse_args()
    predictions = read_predictions(options.run)
    tested = predictions[predictions["split"] == "test"]
    tested = tested.sample(min(PAGES, len(tested)), random_state=0)
    model = load(options.run / MODEL)
    questions = [
        explain.open_question(options.run, options.pages_folder / file, model)
        for file in tested["file"]
    ]
    crops = np.stack([question.crops for question in questions])
    table = explain.deletion_table(model, crops, questions[0].temperature)
    write_csv(options.run / "deletion.csv", table, float_format="%.4f")
    print(table.round(3), table.mean().rename("mean").round(3), sep="\n\n")


if __name__ == "__main__":
    main()
