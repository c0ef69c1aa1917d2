"""The controls of a run with recordings change one thing each."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_recording

from benchmarks.controls import CONTROLS, simulated_teachers, train_control, with_frozen_encoder
from ecg_lib.models import load
from ecg_lib.models.lead_attention import lead_attention
from ecg_lib.runs.folder import MODEL, STATEMENTS_HEAD
from ecg_lib.runs.record import read_record
from ecg_lib.runs.teachers import COLUMNS, part_of, read_statements


@pytest.fixture
def config(configure_in, tmp_path):
    """A run with two recordings, one to learn from and one to choose on."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    rows = []
    for part in ("train", "choice"):
        patient = next(p for p in range(100) if part_of(p) == part)
        write_recording(folder, part, seed=1)
        rows.append((part, patient, "NORM", "SR"))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "labels.csv", index=False)
    config = configure_in(tmp_path, model="lead_attention", height=16, width=16, epochs=1)
    return replace(config, teachers=str(folder))


def test_the_frozen_encoder_keeps_its_first_weights(config, tmp_path):
    run = train_control("frozen_encoder", config, tmp_path / "controls")
    record = read_record(run)
    assert run == tmp_path / "controls" / "frozen_encoder"
    assert f"here: {CONTROLS['frozen_encoder'].title}" in record.recipe
    assert load(run / MODEL).get_layer("block2_norm").moving_mean.numpy().any() == 0
    assert (run / STATEMENTS_HEAD).exists()


def test_only_the_encoder_is_frozen():
    frozen, usual = (build((13, 16, 16)) for build in (with_frozen_encoder, lead_attention))
    learning = {variable.path for variable in frozen.trainable_variables}
    still = {variable.path for variable in usual.trainable_variables} - learning
    assert {path.split("/")[0].split("_")[0] for path in still} == {
        *("block1", "block2", "block3", "block4", "lead")
    }
    assert {"attention", "dense", "logits"} <= {path.split("/")[0] for path in learning}


def test_without_teachers_there_is_no_head(config, tmp_path):
    run = train_control("no_teachers", config, tmp_path / "controls")
    assert read_record(run).config.teachers == ""
    assert not (run / STATEMENTS_HEAD).exists()


def test_simulated_hearts_are_teachers_of_all_classes(tmp_path):
    table = read_statements(simulated_teachers(tmp_path / "hearts", 8))
    assert table["superclasses"].tolist() == ["NORM", "CD", "MI", "MI"] * 2
    assert len(set(table["patient_id"])) == 8
    sizes = {path.stat().st_size for path in (tmp_path / "hearts").glob("*.dat")}
    assert len(sizes) == 1 and np.greater(sizes.pop(), 1000)
