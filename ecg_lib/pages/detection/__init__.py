"""Find the leads of a page: `detect` finds them, `rectify` makes the page flat."""

from ecg_lib.pages.detection.pulse_reader import Detection, detect, rectify

__all__ = ["Detection", "detect", "rectify"]
