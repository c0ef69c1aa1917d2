"""Versions of the training pages: drawn once, of these pages alone, and trained on in turn."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_lib.errors import InputError
from ecg_lib.runs import drawn, inputs
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.record import read_record
from ecg_lib.runs.versions import page_versions
from ecg_lib.training.lessons import plan_lessons
from ecg_lib.training.train import train


@pytest.fixture
def config(configure):
    return configure(recipe="varied", epochs=40)


def cache_of(opened):
    (cache,) = opened.prepared.folder.parent.glob(f"{opened.prepared.folder.name}-versions*")
    return cache


def test_versions_are_of_the_training_pages_and_drawn_once(config, monkeypatch):
    opened = open_inputs(config)
    rows = opened.rows["train"]
    assert opened.versions.shape == (2, len(rows), *opened.prepared.crops.shape[1:])
    own = opened.prepared.crops[rows]
    for version in opened.versions:
        assert version.max(axis=(1, 2, 3)).min() > 0
        assert (version != own).any(axis=(1, 2, 3)).all()
    assert {path.stem for path in cache_of(opened).glob("*.npy")} >= {f"{row:05d}" for row in rows}
    monkeypatch.setattr(drawn, "Parallel", None)
    np.testing.assert_array_equal(open_inputs(config).versions, opened.versions)


def test_an_interrupted_drawing_is_completed(config):
    opened = open_inputs(config)
    lost = cache_of(opened) / f"{opened.rows['train'][3]:05d}.npy"
    lost.unlink()
    np.testing.assert_array_equal(open_inputs(config).versions, opened.versions)
    lost.write_bytes(b"no array")
    with pytest.raises(InputError, match=rf"{lost.name} cannot be read.*remove it"):
        open_inputs(config)
    lost.unlink()


def test_other_recipes_draw_no_versions(configure, monkeypatch):
    monkeypatch.setattr(inputs, "open_versions", None)
    assert open_inputs(configure(recipe="augmented")).versions is None


def test_published_boxes_are_taken_as_they_are(pages_folder, tmp_path):
    path = next(pages_folder.rglob("*.jpg"))
    boxes = [[10, 10, 60, 60]] * 13
    crops = page_versions(path, boxes, 5, {"height": 16, "width": 16})
    assert crops.shape == (2, 13, 16, 16)
    # All boxes are the same here, so all crops are.
    assert (crops == crops[:, :1]).all()


def test_a_page_comes_in_each_version_as_often(config):
    opened = open_inputs(config)
    lessons = plan_lessons(config, opened, 0.5)
    pages = len(opened.rows["train"])
    assert len(lessons.training.crops) == len(lessons.training.weights) == 3 * pages
    # The order of the pages is that of a run without versions.
    plain = plan_lessons(config, replace(opened, versions=None), 0.5)
    np.testing.assert_array_equal(lessons.order % pages, plain.order)
    shares = np.bincount(lessons.order // pages, minlength=3) / len(lessons.order)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)
    seen = lessons.training.crops[lessons.order[:8]]
    every = [opened.prepared.crops[opened.rows["train"]], *opened.versions]
    for crops, place in zip(seen, lessons.order[:8], strict=True):
        np.testing.assert_array_equal(crops, every[place // pages][place % pages])
    # A longer training begins like a shorter one.
    shorter = plan_lessons(replace(config, epochs=2), opened, 0.5)
    np.testing.assert_array_equal(shorter.order, lessons.order[: len(shorter.order)])
    # Validation pages are as they are.
    assert len(lessons.validation.crops) == len(opened.rows["validation"])


def test_a_training_with_versions(configure):
    config = configure(recipe="varied", epochs=1)
    run = train(config, open_inputs(config))
    assert "-varied" in run.name
    assert "saved again" in read_record(run).recipe
