"""How long a millimetre of the page's grid is, and from it the paper speed and the gain.

A grid has a line every millimetre and a stronger one every fifth, so that its spectrum is a comb of
peaks, one for each whole number of waves per five millimetres. Traces are not periodic in both
directions; the millimetre is the one whose comb stands out in both.
"""

from dataclasses import replace

import cv2
import numpy as np

from ecg_lib.pages.detection.result import Detection, rectify

SHORTEST, LONGEST = 90, 540
"""Length of a line of traces in millimetres: five seconds on a narrow sheet at 25 mm/s, ten seconds
at 50 mm/s. 250 mm are usual."""

_STEPS = np.exp(np.linspace(-np.log(LONGEST), -np.log(SHORTEST), 360)).astype(np.float32)
"""Lengths of a millimetre that are tried, half a percent apart, as shares of a line's length."""

_UNUSUAL = 0.5 * np.abs(np.log(250 * _STEPS))
"""What tells a millimetre from its double and its half where the grid leaves it open."""

_ALIKE = 12
"""Both directions agree within this number of steps, six percent."""

_WAVES = np.arange(1, 11, dtype=np.float32)
"""Waves in five millimetres: the tenth is half a millimetre long."""

_STRIPS, _THIN = 5, 30
"""The page is summed up in so many strips in each direction, each one part of so many of its side.
In a strip, a tilted grid is nearly straight."""

_PIXELS = 1250
"""Maximum number of pixels along a line: five in a millimetre."""

_WINDOWS = 3
"""The spectrum is that of windows of one part in three of a line. Curved paper stretches each
differently, but little within a window."""

_INK_DEPTH = 20
"""Ink counts as no darker against the paper than the grid, or than this number of grey levels."""

_FAINTEST = 0.1
"""Amplitude of a grid that can just be seen, in grey levels of the sum of a strip."""

_CLEAR = 2.4
"""Minimum height of the combs of both directions together: 3.1 and more where a grid is seen, 2.2
at most on drawn pages without one."""

_GAINS = (5.0, 10.0, 20.0)
"""A pulse is 1 mV tall."""

_WIDTHS = (2.5, 5.0, 10.0)
"""A pulse lasts 0.2 seconds on most machines, 0.1 or a little less on some, at 25 or 50 mm/s."""

_PULSE_OFF = 1.5
"""What weighs against a millimetre in which the pulse has none of these sizes."""

_GAIN_OFF = 0.25
"""Largest deviation of a pulse's height from that of a gain, as a share."""

_SPEEDS = {25.0: (1.6, 7), 50.0: (8.5, 14)}
"""Paper speeds, and the widths of pulses in millimetres that speak for them. A pulse of 5 mm may be
one of 0.1 seconds at 50 mm/s, but that is rare."""

_USUAL_SHAPES, _USUAL_LENGTH = ((1.7, 2.3), (3.5, 5.7)), (200, 300)
"""Height of a pulse of 10 mm as a multiple of its width, and the length of a line in millimetres,
at 25 mm/s."""


def with_scale(luma: np.ndarray, detection: Detection) -> Detection:
    """Measure the scale of a page, as far as its grid and its calibration pulses show it.

    Args:
        luma: uint8 array (height, width), the page.
        detection: what was found on it.

    Returns:
        The detection with `mm_per_pixel`, `mm_per_second` and `mm_per_mv`.
    """
    page = rectify(luma, detection)
    left, top, right, bottom = _extent(detection, page.shape)
    length = right - left
    steps = grid_steps(page[top:bottom, left:right], length, detection.pulse)
    if steps is not None:
        across, down = steps
        speed, gain = _speed_and_gain(detection.pulse, across, down)
        return replace(
            detection, mm_per_pixel=2 / (across + down), mm_per_second=speed, mm_per_mv=gain
        )
    if detection.pulse is not None and _is_usual(*detection.pulse, length):
        return replace(
            detection,
            mm_per_pixel=10 / detection.pulse[1],
            mm_per_second=25.0,
            mm_per_mv=10.0,
        )
    return detection


def grid_steps(
    area: np.ndarray, length: float, pulse: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """Measure the millimetre of a grid.

    Args:
        area: uint8 array (height, width), the part of a page that has traces.
        length: length of a line of traces, in pixels.
        pulse: width and height of a pulse, in pixels, which help where the grid is unclear.

    Returns:
        Pixels in a millimetre across and down, or None where no grid is seen.
    """
    if min(area.shape) < 4 * _THIN:
        return None
    grid, paper = np.percentile(area[::9, ::9], (10, 50))
    darkest = np.uint8(max(min(grid, paper - _INK_DEPTH), 0))
    across = _comb(_strips(area, darkest), length)
    down = _comb(_strips(area.T, darkest), length)
    reach = np.ones((1, 2 * _ALIKE + 1), np.uint8)
    both = across + cv2.dilate(down[None], reach)[0] - _UNUSUAL
    if pulse is not None:
        sizes = [side / length / _STEPS for side in pulse]
        both -= _PULSE_OFF * sum(map(_distance, sizes, (_WIDTHS, _GAINS)))
    best = int(np.argmax(both))
    near = slice(max(best - _ALIKE, 0), best + _ALIKE + 1)
    other = near.start + int(np.argmax(down[near]))
    if across[best] + down[other] < _CLEAR:
        return None
    return float(_STEPS[best] * length), float(_STEPS[other] * length)


def _extent(detection, shape):
    boxes = np.array(detection.boxes)
    left, top = np.maximum(boxes[:, :2].min(axis=0), 0)
    right, bottom = np.minimum(boxes[:, 2:].max(axis=0), shape[::-1])
    return left, top, right, bottom


def _strips(area, darkest):
    """Means of a few strips of rows over their height: float32 array (strips, width)."""
    thickness = max(len(area) // _THIN, 4)
    tops = np.linspace(0, len(area) - thickness, _STRIPS).astype(int)
    return np.stack(
        [
            np.maximum(area[top : top + thickness], darkest).mean(axis=0, dtype=np.float32)
            for top in tops
        ]
    )


def _comb(strips, length):
    """How far the comb of each of `_STEPS` stands out of the spectrum of strips."""
    scale = min(_PIXELS / length, 1)
    if scale < 1:
        size = (round(scale * strips.shape[1]), len(strips))
        strips = cv2.resize(strips, size, interpolation=cv2.INTER_AREA)
    length = scale * length
    spectrum, number = _spectrum(strips, length)
    at = _WAVES * (number / (5 * length * _STEPS[:, None]))
    seen = at < len(spectrum) - 1
    heights = np.where(seen, np.interp(at, np.arange(len(spectrum)), spectrum), 0)
    # Waves too short to be seen don't count, but few waves make no comb.
    return (heights.sum(axis=1) / (seen.sum(axis=1) + 2)).astype(np.float32)


def _spectrum(strips, length):
    """Logarithm of the power against that of the waves around, and the transform's length."""
    window = int(min(length / _WINDOWS, strips.shape[1]))
    number = 2 * cv2.getOptimalDFTSize(window)
    starts = np.linspace(0, strips.shape[1] - window, strips.shape[1] // window)
    parts = np.concatenate([strips[:, start : start + window] for start in starts.astype(int)])
    parts -= cv2.blur(parts, (int(length / 25) | 1, 1))
    parts *= np.hanning(window).astype(np.float32)
    power = np.abs(np.fft.rfft(parts, number)) ** 2
    floor = (_FAINTEST * window / 4) ** 2
    level = np.log(np.median(power, axis=0) + floor).astype(np.float32)[None]
    around = (2 * int(50 * number / length) | 1, 1)
    usual = cv2.blur(level, around, borderType=cv2.BORDER_REFLECT)
    usual = cv2.blur(np.minimum(level, usual), around, borderType=cv2.BORDER_REFLECT)
    return np.clip(level - usual, -1, 5)[0], number


def _distance(sizes, nominal):
    """Logarithm of the ratio of each size to the nearest of the nominal ones."""
    return np.abs(np.log(np.divide.outer(sizes, nominal))).min(axis=1)


def _speed_and_gain(pulse, across, down):
    """Read paper speed and gain off a pulse; None where it fits none."""
    if pulse is None:
        return None, None
    width, height = pulse[0] / across, pulse[1] / down
    speed = next((speed for speed, (low, high) in _SPEEDS.items() if low < width < high), None)
    gain = next((gain for gain in _GAINS if abs(height / gain - 1) < _GAIN_OFF), None)
    # What has only one of the sizes is part of a pulse, or a pulse and what it touches.
    return (None, None) if None in (speed, gain) else (speed, gain)


def _is_usual(width, height, length):
    """Whether a pulse and a line have the proportions of ten seconds at 25 mm/s and 10 mm/mV."""
    shortest, longest = _USUAL_LENGTH
    shaped = any(low < height / width < high for low, high in _USUAL_SHAPES)
    return shaped and shortest < 10 * length / height < longest
