import numpy as np
import pytest
from PIL import Image

from ecg_lib.pages.resize import resize

SHAPES = [(200, 490), (174, 1974), (63, 65), (64, 64), (500, 64), (9, 300), (1, 1), (40, 3)]


@pytest.mark.parametrize("size", [(64, 64), (64, 160), (32, 32), (13, 7), (1, 1)])
@pytest.mark.parametrize("levels", ["noise", "black and white"])
def test_resized_crops_equal_pillows_to_the_byte(size, levels):
    rng = np.random.default_rng(size)
    crops = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in SHAPES]
    if levels == "black and white":
        # Overshoots beyond both ends are where sums are cut off.
        crops = [np.where(crop > 127, np.uint8(255), np.uint8(0)) for crop in crops]
    expected = [
        np.asarray(Image.fromarray(crop).resize(size[::-1], Image.BICUBIC)) for crop in crops
    ]
    resized = resize(crops, *size)
    assert resized.dtype == np.uint8
    np.testing.assert_array_equal(resized, np.stack(expected))
