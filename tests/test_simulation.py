"""Simulated recordings show the signs of their class."""

from collections import Counter

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecg_lib.drawing.simulation import (
    DOWER,
    RATE,
    RECIPES,
    TERRITORIES,
    _atrial_fibrillation,
    _bundle_branch_block,
    _dipole,
    _ectopic_beats,
    _noise,
    simulate,
    twelve_leads,
)
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import LEADS

SEEDS = range(12)

# The leads over each territory, and a lead opposite.
OVER = {
    "inferior": (("II", "III", "aVF"), "aVL"),
    "anterior": (("V2", "V3"), "III"),
    "lateral": (("I", "aVL", "V5", "V6"), "III"),
}


@pytest.fixture
def quiet(monkeypatch):
    """Recordings without noise, so that signs can be measured in millivolts."""
    monkeypatch.setattr("ecg_lib.drawing.simulation._noise", lambda time, rate, rng: 0.0)


def recording(class_name, seed):
    return dict(zip(LEADS, simulate(class_name, np.random.default_rng(seed)), strict=True))


def beat_samples(leads):
    """Where the QRS complexes are: the steepest moments of all leads together."""
    slope = np.abs(np.diff(np.stack(list(leads.values())), axis=1)).sum(axis=0)
    smooth = np.convolve(slope, np.full(40, 1 / 40), mode="same")
    peaks, _ = find_peaks(smooth, height=0.4 * smooth.max(), distance=RATE // 4)
    return peaks[(peaks > RATE // 2) & (peaks < 10 * RATE - RATE // 2)]


def intervals(leads):
    return np.diff(beat_samples(leads)) / RATE


def after_beat(signal, beats, seconds):
    """The signal so long after the middle of QRS, against the end of the PR interval, in mV."""
    level = np.median([signal[beat - round(0.09 * RATE)] for beat in beats])
    return np.median([signal[beat + round(seconds * RATE)] for beat in beats]) - level


def in_territory(monkeypatch, territory):
    monkeypatch.setattr(
        "ecg_lib.drawing.simulation.TERRITORIES", {territory: TERRITORIES[territory]}
    )


@pytest.mark.parametrize("class_name", RECIPES)
def test_limb_leads_obey_einthoven_and_goldberger(class_name):
    leads = recording(class_name, 1)
    np.testing.assert_allclose(leads["I"] + leads["III"], leads["II"], atol=1e-12)
    np.testing.assert_allclose(leads["aVR"] + leads["aVL"] + leads["aVF"], 0, atol=1e-12)
    np.testing.assert_allclose(leads["aVF"], (leads["II"] + leads["III"]) / 2, atol=1e-12)


def test_dower_matrix_is_the_one_whose_published_inverse_is_known():
    """Edenbrandt & Pahlm, Journal of Electrocardiology 21 (1988) 361-367, table of the inverse."""
    inverse = [
        [0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194],
        [-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048],
        [0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108],
    ]
    assert DOWER.shape == (8, 3)
    np.testing.assert_allclose(np.linalg.pinv(DOWER), inverse, atol=6e-4)


def test_leads_rise_where_the_dipole_points():
    left, down, back = (twelve_leads(DOWER @ axis[:, None])[:, 0] for axis in np.eye(3))
    assert left.shape == (12,)
    assert left[LEADS.index("V6")] > 0 > left[LEADS.index("V1")]
    assert min(down[[LEADS.index(lead) for lead in ("II", "III", "aVF")]]) > 1
    assert back[LEADS.index("V2")] < -1


def test_length_and_rate():
    signals = simulate("normal", np.random.default_rng(0), seconds=4, rate=250)
    assert signals.shape == (12, 1000)


@pytest.mark.parametrize("seed", SEEDS)
def test_normal(quiet, seed):
    leads = recording("normal", seed)
    beats = beat_samples(leads)
    rates = 60 / intervals(leads)
    assert 50 < rates.mean() < 105
    assert rates.std() / rates.mean() < 0.06
    for lead in ("I", "II", "V3", "V5"):
        assert abs(after_beat(leads[lead], beats, 0.12)) < 0.1, lead
        assert after_beat(leads[lead], beats, 0.26) > 0, lead


@pytest.mark.parametrize("seed", SEEDS[:4])
@pytest.mark.parametrize("territory", OVER)
def test_infarction_raises_its_territory_and_lowers_the_opposite(
    quiet, monkeypatch, territory, seed
):
    in_territory(monkeypatch, territory)
    leads = recording("myocardial_infarction", seed)
    beats = beat_samples(leads)
    over, opposite = OVER[territory]
    for lead in over:  # 0.12 s after the middle of QRS is J + 60 to 80 ms
        assert after_beat(leads[lead], beats, 0.12) > 0.1, lead
    assert after_beat(leads[opposite], beats, 0.12) < -0.05


@pytest.mark.parametrize("seed", SEEDS[:4])
@pytest.mark.parametrize("territory", OVER)
def test_history_of_infarction_has_q_waves_and_inverted_t(quiet, monkeypatch, territory, seed):
    in_territory(monkeypatch, territory)
    leads = recording("history_of_mi", seed)
    beats = beat_samples(leads)
    for lead in OVER[territory][0]:
        q = min(after_beat(leads[lead], beats, at) for at in np.arange(-0.06, 0, 0.004))
        t = min(after_beat(leads[lead], beats, at) for at in np.arange(0.2, 0.36, 0.01))
        assert q < -0.15, lead
        assert t < -0.05, lead
        assert abs(after_beat(leads[lead], beats, 0.10)) < 0.15, lead


def test_covid_is_fast_small_and_flat(quiet):
    normal = [recording("normal", seed) for seed in SEEDS]
    covid = [recording("covid_19", seed) for seed in SEEDS]

    def rate(leads):
        return 60 / intervals(leads).mean()

    def height(leads):
        return np.mean([np.ptp(signal) for signal in leads.values()])

    def t_wave(leads):
        return abs(after_beat(leads["V4"], beat_samples(leads), 0.22))

    assert min(map(rate, covid)) > max(map(rate, normal))
    assert max(map(height, covid)) < min(map(height, normal))
    assert max(map(t_wave, covid)) < min(map(t_wave, normal))


def rhythm_of(recipe, seed):
    return recipe(np.random.default_rng(seed), 10.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_atrial_fibrillation_is_irregular_without_p(seed):
    rhythm = rhythm_of(_atrial_fibrillation, seed)
    times = np.array([at for at, _ in rhythm.beats])
    assert np.diff(times).std() / np.diff(times).mean() > 0.1
    assert rhythm.fibrillation > 0
    assert not any("P" in beat for _, beat in rhythm.beats)


@pytest.mark.parametrize("seed", SEEDS)
def test_ectopic_beats_are_early_broad_and_followed_by_a_pause(seed):
    beats = rhythm_of(_ectopic_beats, seed).beats
    ectopic = [number for number, (_, beat) in enumerate(beats) if "P" not in beat]
    assert len(ectopic) >= 2
    for number in ectopic:
        if 0 < number < len(beats) - 1:
            before, at, after = (beats[number + step][0] for step in (-1, 0, 1))
            assert after - at > 1.5 * (at - before)
            assert beats[number][1]["R"].width > 2 * beats[number - 1][1]["R"].width


@pytest.mark.parametrize("seed", SEEDS)
def test_bundle_branch_block_has_a_late_qrs_in_v1(seed, quiet):
    rhythm = rhythm_of(_bundle_branch_block, seed)
    time = np.arange(10 * RATE) / RATE
    signals = twelve_leads(DOWER @ _dipole(rhythm, time, np.random.default_rng(0)))
    leads = dict(zip(LEADS, signals, strict=True))
    beats = [round(at * RATE) for at, _ in rhythm.beats if 0.5 < at < 9.5]
    # 50 ms after its middle, where a healthy complex is over: up for the right, down for the left.
    assert abs(after_beat(leads["V1"], beats, 0.05)) > 0.3


def test_every_kind_of_abnormal_heartbeat_occurs(monkeypatch):
    seen = Counter()
    for name in ("_ectopic_beats", "_atrial_fibrillation", "_bundle_branch_block"):
        monkeypatch.setattr(
            f"ecg_lib.drawing.simulation.{name}",
            lambda rng, seconds, name=name: seen.update([name]),
        )
    for seed in range(40):
        RECIPES["abnormal_heartbeat"](np.random.default_rng(seed), 10.0)
    assert len(seen) == 3


def test_unknown_class_names_the_valid_ones():
    with pytest.raises(InputError, match="history_of_mi"):
        simulate("healthy", np.random.default_rng(0))


def test_noise_does_not_depend_on_the_class():
    """The noise depends on the recording's length and rate alone."""
    time = np.arange(1000) / RATE
    first = _noise(time, RATE, np.random.default_rng(2))
    second = _noise(time, RATE, np.random.default_rng(2))
    assert first.shape == (8, 1000)
    assert np.array_equal(first, second)
    assert 0 < np.abs(first).max() < 0.6
