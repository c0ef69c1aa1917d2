"""The ablation trains what it says it trains, and sees no test page."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from conftest import ROOT
from scipy.special import softmax

from benchmarks import ablation
from ecg_lib.data.classes import CLASSES
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.models import MODELS
from ecg_lib.models.lead_attention import lead_attention
from ecg_lib.runs.folder import read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import LOGIT, read_predictions
from ecg_lib.training.recipes import RECIPES

PARAMETERS = {"no_shared_encoder": 97_413, "no_attention": 241_317}
"""Parameters of the networks that only the ablation builds, as in the committed records."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A function from a variant's name and a fold to its config, on a few drawn pages."""
    folder = tmp_path_factory.mktemp("ablation")
    draw_set(folder / "drawn", 7)
    return partial(
        ablation.config_of,
        results=folder / "ablation",
        pages_folder=folder / "drawn",
        prepared=folder / "prepared",
    )


@pytest.fixture
def small(monkeypatch, tiny):
    """Three variants of a narrow network, to be trained for one epoch."""
    narrow = tiny["lead_attention"]
    variants = {
        "lead_attention": ablation.Variant("Lead attention", partial(lead_attention, **narrow)),
        "no_attention": ablation.Variant("none", partial(ablation.no_attention, **narrow)),
        "crops_32px": ablation.Variant(
            "crops of 32x32", partial(lead_attention, **narrow), config={"height": 32, "width": 32}
        ),
    }
    monkeypatch.setattr(ablation, "VARIANTS", variants)
    monkeypatch.setattr(ablation, "EPOCHS", 1)
    return variants


def test_no_test_page_is_predicted(config, small):
    without = config("no_attention", 0)
    ablation.train_variant(without, small["no_attention"])
    splits = open_inputs(without).splits
    predictions = read_predictions(without.run_path)
    assert (splits == "test").any()
    assert set(predictions["split"]) == {"validation"}
    assert len(predictions) == (splits == "validation").sum()
    assert read_record(without.run_path).pages["test"] == 0


@pytest.mark.parametrize("name", ablation.VARIANTS)
def test_a_variant_trains_what_it_says(config, monkeypatch, name):
    variant, trained = ablation.VARIANTS[name], []
    monkeypatch.setattr(ablation, "train", lambda *arguments: trained.append(arguments))
    ablation.train_variant(config(name, 1), variant)
    ((ran, _, builder, recipe),) = trained
    network = (builder or MODELS[ran.model])((13, 64, 64), 5)
    assert (ran.protocol, ran.fold) == ("clean", 1)
    assert {option: getattr(ran, option) for option in variant.config} == variant.config
    assert recipe.choice.endswith(variant.title)
    assert recipe == replace(RECIPES[ran.recipe], choice=recipe.choice, **variant.recipe)
    if variant.builder:
        assert network.count_params() == PARAMETERS[name]
    layers = {layer.name for layer in network.layers}
    assert ("attention" in layers) == (
        ran.model == "lead_attention" and name not in ("no_shared_encoder", "no_attention")
    )
    assert ("which_lead" in layers) == (
        ran.model == "lead_attention" and name != "no_shared_encoder"
    )


def test_table_has_every_variant_that_is_finished(config, small, monkeypatch, capsys):
    first = config("lead_attention", 0)
    results, pages = first.results_path.parent, first.data
    arguments = ["ablation", pages, "--prepared", first.prepared, "--results", str(results)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--variants", "lead_attention", "crops_32px"])
    ablation.main()
    text = (results / "ablation.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    rows = [row.split(" | ")[0] for row in text.splitlines() if row.startswith("| ")]
    assert rows == ["| variant", "| ---", "| Lead attention", "| crops of 32x32"]

    table = ablation.ablation_table(results).set_index("title")
    both = pd.concat(
        read_predictions(config("crops_32px", fold).run_path) for fold in ablation.FOLDS
    )
    row = table.loc["crops of 32x32"]
    assert row["pages"] == len(both)
    assert row["accuracy"] == pytest.approx(accuracy(both))
    logits = both[[name for name in both if name.startswith(LOGIT)]]
    expected = sklearn.metrics.log_loss(
        both["label"].map(CLASSES.index), softmax(logits, axis=1), labels=range(len(CLASSES))
    )
    assert row["log_loss"] == pytest.approx(expected)


def test_without_any_finished_variant_there_is_no_table(tmp_path, monkeypatch, capsys):
    arguments = ["ablation", "pages", "--results", str(tmp_path), "--variants"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit:
        ablation.main()
    assert exit.value.code == 2
    assert f"{tmp_path} holds no variant that is finished" in capsys.readouterr().err


def test_the_mean_of_the_seeds_is_that_of_their_probabilities():
    table = ablation.ablation_table(ROOT / "results" / "ablation").set_index("title")
    by_fold = []
    for fold in ablation.FOLDS:
        members = [
            read_predictions(ablation.config_of(name, fold, ROOT / "results" / "ablation").run_path)
            for name in ablation.SEEDS
        ]
        logits = members[0].filter(like=LOGIT).columns
        shares = sum(softmax(member[logits], axis=1) for member in members) / len(members)
        by_fold.append(np.take_along_axis(shares, _places(members[0])[:, None], axis=1))
    expected = -np.log(np.concatenate(by_fold)).mean()
    row = table.loc["mean probability of the 3 seeds"]
    assert row["log_loss"] == pytest.approx(expected)
    assert row["parameters"] == 3 * table.loc["Lead attention", "parameters"]


def _places(predictions):
    return predictions["label"].map(CLASSES.index).to_numpy()


def test_the_committed_table_follows_from_the_committed_predictions():
    results = ROOT / "results" / "ablation"
    text = ablation.table_markdown(ablation.ablation_table(results))
    assert (results / "ablation.md").read_text(encoding="utf-8") == text
