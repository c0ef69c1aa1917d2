"""CNN 3D: the crops are the depth of one volume."""

import keras

from ecg_lib.models.layers import check_image_size, logits, standardised_crops


def cnn_3d(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    filters: tuple[int, ...] = (64, 128, 256, 512, 512),
    kernel_sizes: tuple[int, ...] = (3, 3, 2, 2, 2),
    dense_units: tuple[int, ...] = (128, 64),
    name: str = "cnn_3d",
) -> keras.Model:
    """Build five 3D conv blocks over the volume of crops, then two hidden dense layers.

    Each block pads every side by one, convolves, and max-pools by 2, rounding down. With a
    kernel of 2 the padding makes each axis longer by one before it is pooled.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        filters: filters of each conv block.
        kernel_sizes: kernel size of each conv block, the same along the three axes.
        dense_units: units of each hidden dense layer.
        name: the model's name.

    Returns:
        A functional `keras.Model`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        InputError: if an axis of the volume is too short to be pooled by each block.

    Example:
        >>> cnn_3d().count_params()
        3903109
    """
    smallest = _smallest_axis(kernel_sizes)
    check_image_size(
        name,
        input_shape,
        min(input_shape) >= smallest,
        f"at least {smallest} crops of at least {smallest}x{smallest}",
    )

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    volume = keras.layers.Reshape((*input_shape, 1), name="crops_as_volume")(standardised)
    for number, (count, size) in enumerate(zip(filters, kernel_sizes, strict=True), start=1):
        same = size == 3  # Then the conv pads by one itself, which is faster.
        if not same:
            volume = keras.layers.ZeroPadding3D(1, name=f"block{number}_pad")(volume)
        volume = keras.layers.Conv3D(
            count,
            size,
            padding="same" if same else "valid",
            activation="relu",
            name=f"block{number}_conv",
        )(volume)
        # TensorFlow has no float16 pool of volumes for CPUs; a maximum is the same in both.
        volume = keras.layers.MaxPooling3D(2, dtype="float32", name=f"block{number}_pool")(volume)
    features = keras.layers.Flatten(name="flatten")(volume)
    for number, units in enumerate(dense_units, start=1):
        features = keras.layers.Dense(units, activation="relu", name=f"dense{number}")(features)
    return keras.Model(crops, logits(features, num_classes), name=name)


def _smallest_axis(kernel_sizes):
    """Return the length of the shortest axis that still has one position after the last block."""
    length = 1
    for size in reversed(kernel_sizes):
        length = max(2 * length + size - 3, 1)
    return length
