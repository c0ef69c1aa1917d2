"""CNN 2D: the crops are the channels of one image."""

import keras

from ecg_lib.models.layers import check_can_be_halved, conv_blocks, logits, standardised_crops


def cnn_2d(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    filters: tuple[int, ...] = (64, 128),
    dense_units: int = 64,
    name: str = "cnn_2d",
) -> keras.Model:
    """Build two conv blocks over the crops as channels, then one hidden dense layer.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        filters: filters of each conv block.
        dense_units: units of the hidden dense layer.
        name: the model's name.

    Returns:
        A functional `keras.Model`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        InputError: if the image is too small to be halved by each block.

    Example:
        >>> cnn_2d().count_params()
        2178949
    """
    check_can_be_halved(name, input_shape, times=len(filters))

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    maps = keras.layers.Permute((2, 3, 1), name="crops_as_channels")(standardised)
    maps = conv_blocks(maps, filters)
    features = keras.layers.Flatten(name="flatten")(maps)
    features = keras.layers.Dense(dense_units, activation="relu", name="dense")(features)
    return keras.Model(crops, logits(features, num_classes), name=name)
