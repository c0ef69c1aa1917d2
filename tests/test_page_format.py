"""The benchmark of page formats: its probe, and what it counts of a run."""

import numpy as np
import pandas as pd
import pytest
from conftest import write_recording

from benchmarks import page_format


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(60, 4))


def test_a_probe_tells_features_that_differ_by_format(features):
    patients = pd.Series(np.arange(60) // 2)
    assert page_format.probe(features, features + np.array([3, 0, 0, 0]), patients) > 0.95
    assert 0.3 < page_format.probe(features, features[::-1], patients) < 0.7


def test_a_probe_learns_nothing_of_the_patients_that_it_is_tried_on(features):
    """Each patient's small pages differ in a value of their own."""
    patients = pd.Series(np.arange(60) // 15)
    own = np.eye(4)[patients]
    assert page_format.probe(features, features + 5 * own, patients) < 0.9


def test_formats_of_recordings(finished_run, tmp_path):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for number in range(3):
        write_recording(recordings, f"{number}", seed=number)
    (recordings / "2.dat").unlink()
    labels = {"record": range(3), "patient_id": range(3), "label": "NORM"}
    pd.DataFrame(labels | {"infarction_stadium1": ""}).to_csv(recordings / "labels.csv")
    table = page_format.format_table(finished_run.run_path, recordings, jobs=1)
    assert list(table["format"]) == list(page_format.FORMATS)
    assert list(table["recordings"]) == [2, 2, 2]
    assert table[["to_covid", "changed", "probe_auroc"]].stack().between(0, 1).all()
    text = page_format.write({"some run": table}, tmp_path)
    assert text == (tmp_path / "format.md").read_text(encoding="utf-8")
    assert all(f"| some run | {layout} | 2 |" in text for layout in page_format.FORMATS)
