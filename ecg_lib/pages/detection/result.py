"""What was found on a page."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ecg_lib.pages.detection.ink import even_light
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import CROPS, Box


@dataclass(frozen=True)
class Detection:
    """What a page shows, and where.

    Attributes:
        layout: name of the layout, a key of `ecg_lib.pages.layouts.LAYOUTS`.
        boxes: 13 `Box`es in the order of `ecg_lib.pages.leads.CROPS`, in pixels of the rectified
            page.
        homography: float array (3, 3), from pixels of the rectified page to those of the given
            image; the identity for a flat page.
        size: width and height of the rectified page, in pixels.
        confidence: 0 to 1, how well the page fits its layout.
        rhythm_lead: the lead that the rhythm strip repeats, or None where there is no strip or
            its name cannot be read.
        turned: by how many degrees clockwise the given image has to be turned to stand upright:
            0, 90, 180 or 270.
        order_assumed: whether the leads are taken to stand in standard order because their names
            could not be read.
        pulse: width and height of the calibration pulses in pixels of the rectified page, or None
            where there are none.
        mm_per_pixel: millimetres of the page's grid that a pixel of the rectified page spans, or
            None where it cannot be measured.
        mm_per_second: paper speed, or None where it is not known.
        mm_per_mv: gain, or None where it is not known.
    """

    layout: str
    boxes: tuple[Box, ...]
    homography: np.ndarray
    size: tuple[int, int]
    confidence: float
    rhythm_lead: str | None
    turned: int = 0
    order_assumed: bool = False
    pulse: tuple[float, float] | None = None
    mm_per_pixel: float | None = None
    mm_per_second: float | None = None
    mm_per_mv: float | None = None

    @property
    def inverted(self) -> tuple[int, ...]:
        """Places of the crops whose leads are printed upside down, as -aVR in Cabrera order."""
        return tuple(CROPS.index(lead) for lead in LAYOUTS[self.layout].inverted)

    @property
    def flat(self) -> bool:
        """Whether the rectified page is the given image itself."""
        return np.array_equal(self.homography, np.eye(3))

    @property
    def scale(self) -> str:
        """Paper speed and gain in words."""
        known = {"mm/s": self.mm_per_second, "mm/mV": self.mm_per_mv}
        words = [f"{value:g} {unit}" for unit, value in known.items() if value is not None]
        return ", ".join(words) or "paper speed and gain not measured"

    @property
    def cautions(self) -> list[str]:
        """What was assumed or changed so that the page could be read."""
        cautions = []
        if self.order_assumed:
            cautions.append("its lead names could not be read, and the standard order is assumed")
        if self.turned:
            cautions.append(f"it was turned by {self.turned} degrees clockwise to be read")
        return cautions


def rectify(luma: np.ndarray, detection: Detection) -> np.ndarray:
    """Bring a page into the frame in which its boxes are straight, and its paper to even white.

    Args:
        luma: uint8 array (height, width), the image that was given to `detect`.
        detection: its `Detection`.

    Returns:
        A uint8 array of `detection.size`; the same array, untouched, where the page is flat.
    """
    if detection.flat:
        return luma
    straight = cv2.warpPerspective(
        luma,
        detection.homography,
        detection.size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # One threshold for a whole page could not part ink from paper in a shadow.
    return even_light(straight)


def moved_points(points: npt.ArrayLike, homography: np.ndarray) -> np.ndarray:
    """Map points `(..., 2)` by a homography."""
    after = np.asarray(points, float) @ homography[:, :2].T + homography[:, 2]
    return after[..., :2] / after[..., 2:]
