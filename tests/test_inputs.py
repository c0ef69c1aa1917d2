"""What a run works on: pages, splits, run_key."""

import json

import pandas as pd

from ecg_lib.data.classes import CLASSES
from ecg_lib.runs import inputs as module
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.inputs import name_of_data, open_inputs


def test_inputs_are_the_prepared_pages_and_their_splits(configure, prepared_set):
    inputs = open_inputs(configure())
    assert inputs.prepared.folder == prepared_set.folder
    assert inputs.splits.index.equals(prepared_set.pages.index)
    expected = {"train": 3, "validation": 1, "test": 1}
    assert inputs.counts.to_dict("index") == dict.fromkeys(CLASSES, expected)


def test_counts_are_of_the_classes_that_are_there(configure):
    inputs = open_inputs(configure())
    pages = inputs.prepared.pages
    some = pages[pages["class"].isin(["covid_19", "normal"])]
    prepared = module.PreparedSet(**vars(inputs.prepared) | {"pages": some})
    counts = module.Inputs(prepared, pd.Series("train", index=some.index), {}).counts
    assert list(counts.index) == ["normal", "covid_19"]
    assert counts["train"].tolist() == [5, 5]
    assert counts[["validation", "test"]].to_numpy().sum() == 0


def test_layouts_are_those_of_the_training_pages(configure, prepared_set, pages_folder):
    inputs = open_inputs(configure())
    train = prepared_set.pages[inputs.splits == "train"]
    drawn = [
        json.loads((pages_folder / file).with_suffix(".json").read_text(encoding="utf-8"))
        for file in train["file"]
    ]
    for layout, of_classes in inputs.layouts.items():
        for name, number in of_classes.items():
            truth = {"class": name, "layout": layout}
            assert number == sum(truth.items() <= page.items() for page in drawn)
    assert sum(map(sum, map(dict.values, inputs.layouts.values()))) == len(drawn)


def test_own_pages_are_not_called_the_published_ones(configure, prepared_set):
    """Whatever the protocol, whose results lie under the name of the published data."""
    pages, config = prepared_set.pages, configure(protocol="clean")
    assert config.data_name == "khan2021"
    assert name_of_data(config, pages) == "drawn"
    some = pages.assign(page_id=["P0001", *pages["page_id"][1:]])
    assert name_of_data(config, some) == "khan2021"
    assert name_of_data(configure(), some) == "drawn"


def test_identity_tells_runs_apart(configure, configure_in, tmp_path):
    one = open_inputs(configure()).run_key
    assert one == open_inputs(configure_in(tmp_path / "elsewhere")).run_key
    other_seed = open_inputs(configure(seed=2)).run_key
    assert other_seed.split_hash != one.split_hash
    assert other_seed.data_hash == one.data_hash
    assert open_inputs(configure(epochs=3)).run_key.config != one.config
    assert open_inputs(configure(ink_only=True)).run_key.data_hash != one.data_hash


def test_default_pages_are_drawn_and_others_never(configure, tmp_path, monkeypatch, pages_folder):
    drawn = []
    monkeypatch.setattr(module, "draw_set", lambda folder, *args, **kwargs: drawn.append(folder))
    open_inputs(configure())
    assert drawn == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(pages_folder)
    open_inputs(RunConfig(height=16, width=16))
    assert drawn == [tmp_path / "data" / "synthetic"]
