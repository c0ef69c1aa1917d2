"""Augmentation: what may change in the crops of a page, and what must not."""

import numpy as np
import pytest
import tensorflow as tf

from ecg_lib.training import augmentation
from ecg_lib.training.augmentation import augment

PAGES, SIDE = 8, 32


@pytest.fixture(scope="module")
def crops():
    """Grey paper with one bright dot a crop."""
    crops = np.full((PAGES, 13, SIDE, SIDE), 60, np.uint8)
    crops[:, :, 16, 16] = 255
    return crops


@pytest.fixture
def only(monkeypatch):
    """Switch off all changes but those named, by the constants that set their size."""
    none = {
        "MAX_ROWS": 0,
        "MAX_COLUMNS": 0,
        "CONTRAST": (1.0, 1.0),
        "OFFSET": 0.0,
        "NOISE": 0.0,
        "BLANK": 0.0,
    }

    def switch_off_others(*kept):
        for name, value in none.items():
            if name not in kept:
                monkeypatch.setattr(augmentation, name, value)

    return switch_off_others


def changed(crops, seed=(1, 2)):
    return augment(tf.constant(crops), seed).numpy()


def test_nothing_switched_on_changes_nothing(crops, only):
    only()
    np.testing.assert_array_equal(changed(crops), crops)


def test_same_seed_changes_alike_and_another_does_not(crops):
    np.testing.assert_array_equal(changed(crops), changed(crops))
    assert (changed(crops) != changed(crops, seed=(1, 3))).mean() > 0.5
    assert (changed(crops) != changed(crops, seed=(2, 2))).mean() > 0.5


def test_result_is_float32_within_the_grey_levels(crops):
    found = changed(crops)
    assert found.dtype == np.float32
    assert found.shape == crops.shape
    assert found.min() >= 0
    assert found.max() <= 255


def test_crops_are_shifted_each_by_itself_and_not_too_far(crops, only):
    only("MAX_ROWS", "MAX_COLUMNS")
    shifts = [np.argwhere(crop == 255)[0] - 16 for page in changed(crops) for crop in page]
    most = np.abs(shifts).max(axis=0)
    np.testing.assert_array_equal(most, [2, 3])  # 4 and 6 of 64, here of 32
    assert len(np.unique(shifts, axis=0)) > 20


def test_edge_fills_what_a_shift_leaves_free(only):
    only("MAX_COLUMNS")
    ramp = np.broadcast_to(np.arange(100, 100 + SIDE, dtype=np.uint8), (PAGES, 13, SIDE, SIDE))
    found = changed(ramp)
    assert found.min() >= 100
    assert (np.diff(found, axis=-1) >= 0).all()


def test_contrast_belongs_to_a_crop_and_offset_to_a_page(crops, only):
    only("CONTRAST", "OFFSET")
    found = changed(crops)
    contrast = (found[..., 16, 16] - found[..., 0, 0]) / (255 - 60)
    unclipped = found[..., 16, 16] < 255
    assert 0.7 <= contrast[unclipped].min() < contrast[unclipped].max() <= 1.3
    paper = found[..., 0, 0] - 60 * contrast
    offset = np.where(unclipped, paper, np.nan)
    assert np.nanmax(np.nanmax(offset, axis=1) - np.nanmin(offset, axis=1)) < 1e-3
    assert np.nanstd(np.nanmean(offset, axis=1)) > 2


def test_noise_is_as_strong_as_said(crops, only):
    only("NOISE")
    assert (changed(crops) - crops)[:, :, :16].std() == pytest.approx(5, rel=0.05)


def test_some_leads_are_blank(crops, only):
    only("BLANK")
    many = np.concatenate([crops] * 20)
    blank = (changed(many) == 0).all(axis=(2, 3))
    assert blank.mean() == pytest.approx(0.08, abs=0.02)
    np.testing.assert_array_equal(changed(many)[~blank], many[~blank])
