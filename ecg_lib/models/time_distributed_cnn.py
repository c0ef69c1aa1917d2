"""Time Distributed CNN: one small CNN, shared by all steps of a sequence of image strips."""

import keras

from ecg_lib.models.layers import (
    FoldSteps,
    UnfoldSteps,
    check_image_size,
    conv_blocks,
    logits,
    standardised_crops,
)


def time_distributed_cnn(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    steps: int = 8,
    filters: tuple[int, ...] = (64, 128),
    dense_units: int = 64,
    name: str = "time_distributed_cnn",
) -> keras.Model:
    """Build conv blocks shared by the steps, then one hidden dense layer over all steps.

    The pixel rows of all crops, one below the other, are cut into `steps` strips of equal
    height. The steps are folded into the batch, which gives what `keras.layers.TimeDistributed`
    gives; that layer unrolls the steps in Python and is several times slower.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        steps: number of strips.
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
        InputError: if the rows cannot be cut into strips of equal height, or the strips are too
            small to be halved by each block.

    Example:
        >>> time_distributed_cnn().count_params()
        27337861
    """
    number_of_crops, height, width = input_shape
    strip_height, rows_left = divmod(number_of_crops * height, steps)
    smallest = 2 ** len(filters)
    check_image_size(
        name,
        input_shape,
        rows_left == 0 and min(strip_height, width) >= smallest,
        f"crops x height to be a multiple of {steps} and of at least {steps * smallest}, "
        f"and a width of at least {smallest}",
    )

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    strips = keras.layers.Reshape((steps, strip_height, width, 1), name="strips")(standardised)
    maps = conv_blocks(FoldSteps(name="fold_steps")(strips), filters)
    maps = UnfoldSteps(steps, name="unfold_steps")(maps)
    features = keras.layers.Flatten(name="flatten")(maps)
    features = keras.layers.Dense(dense_units, activation="relu", name="dense")(features)
    return keras.Model(crops, logits(features, num_classes), name=name)
