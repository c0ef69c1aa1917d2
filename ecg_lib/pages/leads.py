"""Lead names, the canonical order of the crops, and boxes on a page."""

from typing import NamedTuple

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
RHYTHM_STRIP = "rhythm strip"

CROPS = (*LEADS, RHYTHM_STRIP)
"""What the 13 crops of a page show, in the order of every crops array's second axis."""


class Box(NamedTuple):
    """A rectangle on a page, in page pixels, half-open: `right` and `bottom` lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def intersection_over_union(self, other: "Box") -> float:
        """Divide the area shared with `other` by the area covered by either, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0) * max(height, 0)
        return shared / (self.width * self.height + other.width * other.height - shared)
