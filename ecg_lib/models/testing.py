"""A network of a few hundred parameters, for fast tests of the code around the networks."""

import keras

from ecg_lib.models.layers import check_can_be_halved, conv_blocks, logits, standardised_crops


def testing(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    name: str = "testing",
) -> keras.Model:
    """Build one small conv block over the crops as channels, averaged over all positions.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        name: the model's name.

    Returns:
        A functional `keras.Model`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        InputError: if the image is too small to be halved.

    Example:
        >>> testing().count_params()
        497
    """
    check_can_be_halved(name, input_shape, times=1)

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    maps = keras.layers.Permute((2, 3, 1), name="crops_as_channels")(standardised)
    maps = conv_blocks(maps, filters=(4,))
    features = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.Model(crops, logits(features, num_classes), name=name)
