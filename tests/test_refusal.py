"""The benchmark of refusals counts what it says, on a few pages of each kind."""

import numpy as np
import pytest
from conftest import TINY, write_recording

from benchmarks import refusal
from ecg_lib.errors import InputError
from ecg_lib.models import SCORE, build
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.serving.card import REFUSALS, model_card
from ecg_lib.serving.predictor import Predictor
from ecg_lib.training.train import train


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(2):
        write_recording(folder, f"{number}", seed=number)
    return folder


def test_each_kind_of_page_is_counted(configure, pages_folder, recordings, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    config = configure(model="lead_attention", epochs=1)
    inputs = open_inputs(config)

    def narrow(*shape, **statistics):
        return build("lead_attention", *shape, **TINY["lead_attention"], **statistics)

    run = train(config, inputs, narrow)
    monkeypatch.setattr(refusal, "ALTERED_PAGES", 2)
    monkeypatch.setattr(refusal, "DRAWN_PER_CLASS", 1)
    monkeypatch.setattr(refusal, "pictures", lambda: [("grey", np.full((600, 800), 99, np.uint8))])
    table = refusal.refusal_table(pages_folder, recordings, run, inputs.prepared.folder.parent)
    by_kind = table.set_index("pages")
    validation = by_kind.loc["real validation pages"]
    assert (validation["number"], validation["near"]) == (5, 1)
    predictor = Predictor(run)
    rows = inputs.splits.index[inputs.splits == "test"]
    scores = predictor.network(inputs.prepared.crops[rows])[SCORE]
    near = (scores <= predictor.answering.largest_score).mean()
    assert by_kind.loc["real test pages", ["near", "answered"]].tolist() == [near, near]
    assert by_kind.loc["pictures that are not ECGs", ["read", "answered"]].tolist() == [0, 0]
    assert by_kind.loc["noise", ["read", "answered"]].isna().all()
    assert {"PTB-XL, drawn as exports", "PTB-XL, drawn in random styles"} <= set(by_kind.index)
    assert by_kind[["near"]].stack().between(0, 1).all()
    table.to_csv(run / REFUSALS, index=False, float_format="%.3f")
    assert "| noise | 5 |  |" in model_card(run)


def test_a_network_without_a_score_is_named(finished_run, tmp_path):
    with pytest.raises(InputError, match="has no out-of-distribution score: expected a run that"):
        refusal.refusal_table(tmp_path, tmp_path, finished_run.run_path, tmp_path)
