"""Styles that are chosen at random."""

import numpy as np
import pytest

from ecg_lib.drawing.styles import NAMES, PULSES, random_style
from ecg_lib.errors import InputError


def test_random_styles_differ_and_name_the_leads_of_cabrera_pages():
    styles = [random_style(np.random.default_rng(seed), "cabrera_6x2") for seed in range(60)]
    assert {style.names for style in styles} == set(NAMES) - {"none"}
    assert {style.pulses for style in styles} == set(PULSES)
    assert len({style.grid for style in styles}) == 5
    assert {style.mm_per_second for style in styles} == {25, 50}
    assert {style.mm_per_mv for style in styles} == {5, 10, 20}


def test_same_seed_same_style():
    first, again, other = (
        random_style(np.random.default_rng(seed), "standard_3x4") for seed in (1, 1, 2)
    )
    assert first == again != other


def test_unknown_layout_names_the_valid_ones():
    with pytest.raises(InputError, match="cabrera_12x1"):
        random_style(np.random.default_rng(0), "12x1")
