"""Simulate recordings of the five classes.

The signals are illustrative, not clinical: they show the textbook signs of each class clearly
enough to learn and to test with, and nothing learnt from them says anything about patients.

A beat is a heart dipole that moves through space, a sum of Gaussians in time (one or two per wave).
The Dower matrix projects the dipole onto the eight independent leads; the other four follow from
Einthoven's and Goldberger's relations, also for the noise, which is added to the eight.

Reference:
    - Dower, Machado & Osborne, *On deriving the electrocardiogram from vectorcardiographic
      leads*, Clinical Cardiology 3 (1980) 87-95: the matrix.
    - McSharry et al., *A dynamical model for generating synthetic electrocardiogram signals*,
      IEEE Transactions on Biomedical Engineering 50 (2003) 289-294: beats as sums of Gaussians.
    - Thygesen et al., *Fourth universal definition of myocardial infarction*, Circulation 138
      (2018) e618-e651: ST elevation, reciprocal depression, Q waves and inverted T waves.
    - Surawicz & Knilans, *Chou's Electrocardiography in Clinical Practice*, 6th edition (2008):
      ectopic beats, atrial fibrillation, bundle branch block.
    - Angeli et al., *Electrocardiographic features of patients with COVID-19 pneumonia*, European
      Journal of Internal Medicine 78 (2020) 101-106: ST-T changes and tachycardia.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg_lib.errors import one_of
from ecg_lib.pages.leads import LEADS

RATE = 500
"""Samples per second of the recordings that are drawn."""

INDEPENDENT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""From Frank's X (to the left), Y (to the feet), Z (to the back) to `INDEPENDENT_LEADS`."""


class Wave(NamedTuple):
    """One Gaussian of a beat.

    Attributes:
        at: its centre, in seconds after the middle of the QRS complex.
        width: its standard deviation, in seconds.
        dipole: its height, in mV along Frank's X, Y and Z.
    """

    at: float
    width: float
    dipole: np.ndarray


@dataclass(frozen=True)
class Rhythm:
    """What the heart does during a recording.

    Attributes:
        beats: the beats, each a pair of the time of its QRS complex in seconds and its `Wave`s
            by name.
        fibrillation: height of the atria's fibrillation in mV, 0 where they beat.
    """

    beats: list[tuple[float, dict[str, Wave]]]
    fibrillation: float = 0.0


# A healthy beat at 75 per minute. The vectors were chosen so that all leads look as in textbooks:
# a small septal q in I and V6, R growing from V1 to V4, T upright except in aVR and V1.
HEALTHY = {
    "P": Wave(-0.16, 0.022, np.array([0.06, 0.11, -0.02])),
    "Q": Wave(-0.024, 0.009, np.array([-0.14, -0.08, -0.24])),
    "R": Wave(0.0, 0.012, np.array([0.95, 0.72, 0.36])),
    "S": Wave(0.027, 0.011, np.array([-0.15, -0.10, 0.52])),
    "T": Wave(0.25, 0.048, np.array([0.17, 0.14, -0.09])),
    "T end": Wave(0.29, 0.030, np.array([0.10, 0.08, -0.05])),
}

# Dipoles that point at a territory: leads over it rise, those opposite fall.
TERRITORIES = {
    "inferior": np.array([-0.10, 0.26, 0.03]),  # II, III, aVF; opposite I, aVL
    "anterior": np.array([0.06, -0.11, -0.22]),  # V1 to V4; opposite II, III, aVF
    "lateral": np.array([0.26, -0.14, 0.08]),  # I, aVL, V5, V6; opposite III, aVF, V1
}


def simulate(
    class_name: str, rng: np.random.Generator, seconds: float = 10.0, rate: float = RATE
) -> np.ndarray:
    """Simulate a recording of one class.

    Rate, axis, amplitude, baseline wander, mains hum and muscle noise vary from one recording to
    the next; the noise does not depend on the class.

    Args:
        class_name: a key of `RECIPES`.
        rng: a `numpy.random.Generator`.
        seconds: length of the recording.
        rate: samples per second.

    Returns:
        float array `(12, samples)` in mV, leads in the order of `ecg_lib.pages.leads.LEADS`.

    Raises:
        InputError: if the class is unknown.

    Example:
        >>> simulate("normal", np.random.default_rng(1)).shape
        (12, 5000)
    """
    recipe = RECIPES[one_of("class", class_name, RECIPES)]
    rhythm = recipe(rng, seconds)
    time = np.arange(round(seconds * rate)) / rate
    clean = DOWER @ _dipole(rhythm, time, rng)
    return twelve_leads(clean + _noise(time, rate, rng))


def twelve_leads(independent: np.ndarray) -> np.ndarray:
    """Compute all leads from the independent ones, by Einthoven's and Goldberger's relations.

    Args:
        independent: array `(8, samples)` in the order of `INDEPENDENT_LEADS`.

    Returns:
        array `(12, samples)` in the order of `ecg_lib.pages.leads.LEADS`.
    """
    leads = dict(zip(INDEPENDENT_LEADS, independent, strict=True))
    one, two = leads["I"], leads["II"]
    leads |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return np.stack([leads[lead] for lead in LEADS])


def _dipole(rhythm, time, rng):
    waves = [(beat_at + at, *rest) for beat_at, beat in rhythm.beats for at, *rest in beat.values()]
    at, width, dipoles = (np.array(column) for column in zip(*waves, strict=True))
    dipole = dipoles.T @ np.exp(-0.5 * ((time - at[:, None]) / width[:, None]) ** 2)
    breath = np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * time + rng.uniform(0, 2 * np.pi))
    dipole *= 1 + rng.uniform(0, 0.1) * breath
    if rhythm.fibrillation:
        dipole += rhythm.fibrillation * _fibrillation(time, rng)
    return dipole


def _fibrillation(time, rng):
    """Atrial waves at about six per second, of varying rhythm and size, largest in V1 and II."""
    frequency = rng.uniform(5, 8) + 0.8 * np.sin(2 * np.pi * 0.3 * time + rng.uniform(0, 6))
    phase = np.cumsum(2 * np.pi * frequency) * (time[1] - time[0])
    size = 1 + 0.4 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6))
    return np.outer([0.2, 0.7, -0.7], size * (np.sin(phase) + 0.3 * np.sin(2 * phase)))


def _noise(time, rate, rng):
    """Baseline wander, mains hum and muscle noise of the eight independent leads, in mV."""
    leads = len(INDEPENDENT_LEADS)
    wander = np.zeros((leads, len(time)))
    for frequency in rng.uniform(0.05, 0.5, 3):
        phase = rng.uniform(0, 2 * np.pi, (leads, 1))
        wander += rng.uniform(0, 0.04, (leads, 1)) * np.sin(2 * np.pi * frequency * time + phase)
    hum = rng.uniform(0, 0.008, (leads, 1)) * np.sin(2 * np.pi * 50 * time + rng.uniform(0, 6))
    muscle = gaussian_filter1d(rng.standard_normal((leads, len(time))), 0.002 * rate, axis=1)
    tension = np.exp(rng.uniform(np.log(0.01), np.log(0.06))) * rng.uniform(0.3, 1, (leads, 1))
    return wander + hum + tension * muscle


# --- recipes: what the heart does in each class


def _normal(rng, seconds):
    return Rhythm(_regular(rng, seconds, rng.uniform(58, 92), _healthy_beat(rng)))


def _abnormal_heartbeat(rng, seconds):
    recipe = rng.choice([_ectopic_beats, _atrial_fibrillation, _bundle_branch_block])
    return recipe(rng, seconds)


def _ectopic_beats(rng, seconds):
    """Ventricular ectopic beats: early, broad, tall, no P, T opposed, a pause after each."""
    beat = _healthy_beat(rng)
    main = _rotate(np.array([0.5, 1.2, -0.5]), rng, 40) * rng.uniform(1.2, 1.6)
    ectopic = {
        "R": Wave(0.0, 0.032, main),
        "R late": Wave(0.06, 0.030, 0.4 * main),
        "T": Wave(0.30, 0.060, -0.45 * main),
    }
    interval = 60 / rng.uniform(60, 90)
    every = int(rng.integers(2, 4))
    sinus = _beat_times(rng, seconds, interval, 0.02)
    first = int(rng.integers(every))
    return Rhythm(
        [
            (at - 0.33 * interval, ectopic)
            if number % every == first
            else (at, _timed(beat, interval))
            for number, at in enumerate(sinus)
        ]
    )


def _atrial_fibrillation(rng, seconds):
    """No P, a trembling baseline, beats at irregular intervals."""
    beat = _without(_healthy_beat(rng), "P")
    interval = 60 / rng.uniform(90, 140)
    times = _beat_times(rng, seconds, interval, 0.28)
    return Rhythm([(at, _timed(beat, interval)) for at in times], rng.uniform(0.10, 0.16))


def _bundle_branch_block(rng, seconds):
    """A broad QRS complex whose late part points to the blocked side, T opposed to it."""
    beat = _healthy_beat(rng)
    size = rng.uniform(0.85, 1.2)
    if rng.random() < 0.5:  # left: no septal q, broad notched R in I and V6, deep S in V1 to V3
        beat = _without(beat, "Q", "S") | {
            "R": Wave(0.0, 0.028, size * _rotate(np.array([0.60, 0.45, 0.85]), rng, 15)),
            "R late": Wave(0.07, 0.028, size * _rotate(np.array([0.85, 0.35, 0.75]), rng, 15)),
            "T": Wave(0.29, 0.060, size * np.array([-0.28, -0.10, -0.32])),
        }
    else:  # right: R' in V1, broad S in I and V6
        beat = beat | {
            "S": Wave(0.060, 0.028, size * _rotate(np.array([-0.85, -0.10, -0.75]), rng, 15)),
            "T": Wave(0.29, 0.050, size * np.array([0.22, 0.12, 0.12])),
        }
    return Rhythm(_regular(rng, seconds, rng.uniform(58, 98), beat))


def _myocardial_infarction(rng, seconds):
    """ST elevation in one territory that runs into the T wave, depression opposite."""
    beat = _healthy_beat(rng)
    injury = _any_territory(rng) * rng.uniform(1.2, 2.0)
    beat |= {
        "ST": Wave(0.095, 0.032, 0.75 * injury),
        "ST end": Wave(0.165, 0.040, 0.75 * injury),
        "T": beat["T"]._replace(dipole=0.5 * beat["T"].dipole + 0.9 * injury),
    }
    return Rhythm(_regular(rng, seconds, rng.uniform(60, 100), beat))


def _history_of_mi(rng, seconds):
    """Broad, deep Q waves and inverted T waves in one territory; the ST segment is level again."""
    beat = _healthy_beat(rng)
    scar = _any_territory(rng) * rng.uniform(0.9, 1.3)
    beat |= {
        "Q": Wave(-0.030, 0.015, -2.3 * scar),
        "R": beat["R"]._replace(dipole=0.75 * beat["R"].dipole - 0.6 * scar),
        "T": beat["T"]._replace(dipole=0.2 * beat["T"].dipole - 0.9 * scar),
        "T end": beat["T end"]._replace(dipole=0.2 * beat["T end"].dipole - 0.5 * scar),
    }
    return Rhythm(_regular(rng, seconds, rng.uniform(58, 98), beat))


def _covid_19(rng, seconds):
    """Fast, small, with flat ST segments and T waves."""
    beat = _scaled(_healthy_beat(rng), rng.uniform(0.4, 0.55))
    flat = rng.uniform(-0.15, 0.3)
    beat |= {name: beat[name]._replace(dipole=flat * beat[name].dipole) for name in ("T", "T end")}
    return Rhythm(_regular(rng, seconds, rng.uniform(105, 140), beat))


RECIPES = {
    "normal": _normal,
    "abnormal_heartbeat": _abnormal_heartbeat,
    "myocardial_infarction": _myocardial_infarction,
    "history_of_mi": _history_of_mi,
    "covid_19": _covid_19,
}
"""The function that simulates the `Rhythm` of each class."""


def _healthy_beat(rng):
    """Draw the healthy beat of one heart; axis and size vary."""
    turn = _turn(rng, 14)
    size = rng.uniform(0.9, 1.25)
    return {
        name: wave._replace(dipole=size * rng.uniform(0.85, 1.15) * turn @ wave.dipole)
        for name, wave in HEALTHY.items()
    }


def _any_territory(rng):
    return _rotate(TERRITORIES[rng.choice(list(TERRITORIES))], rng, 8)


def _turn(rng, degrees):
    """Draw a rotation in the frontal, then in the horizontal plane, each by at most `degrees`."""
    frontal, horizontal = np.radians(rng.uniform(-degrees, degrees, 2))
    cos, sin = np.cos(frontal), np.sin(frontal)
    in_frontal = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cos, sin = np.cos(horizontal), np.sin(horizontal)
    in_horizontal = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return in_horizontal @ in_frontal


def _rotate(dipole, rng, degrees):
    return _turn(rng, degrees) @ dipole


def _scaled(beat, factor):
    return {name: wave._replace(dipole=factor * wave.dipole) for name, wave in beat.items()}


def _without(beat, *names):
    return {name: wave for name, wave in beat.items() if name not in names}


def _regular(rng, seconds, beats_per_minute, beat):
    interval = 60 / beats_per_minute
    times = _beat_times(rng, seconds, interval, rng.uniform(0.01, 0.03))
    return [(at, _timed(beat, interval)) for at in times]


def _beat_times(rng, seconds, interval, spread):
    """Draw the times of beats from before the recording's start to after its end.

    Args:
        spread: standard deviation of the intervals, as a share of the mean interval.
    """
    number = int(seconds / interval * 1.5) + 6
    intervals = interval * (1 + spread * rng.standard_normal(number)).clip(0.55, 1.8)
    times = np.cumsum(intervals) - rng.uniform(1, 2) * interval
    return times[times < seconds + interval]


def _timed(beat, interval):
    """Stretch everything after the QRS complex as the interval is stretched (Bazett)."""
    stretch = np.sqrt(interval / 0.8)
    return {
        name: Wave(wave.at * stretch, wave.width * stretch, wave.dipole) if wave.at > 0.08 else wave
        for name, wave in beat.items()
    }
