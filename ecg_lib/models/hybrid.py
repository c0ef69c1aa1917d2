"""Hybrid: the conv blocks of CNN 2D, whose maps an Attention-LSTM reads row by row."""

import keras

from ecg_lib.models.layers import (
    check_can_be_halved,
    conv_blocks,
    logits,
    lstm_with_attention,
    standardised_crops,
)


def hybrid(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    filters: tuple[int, ...] = (64, 128),
    units: int = 128,
    dense_units: int = 64,
    name: str = "hybrid",
) -> keras.Model:
    """Build the conv blocks of `cnn_2d`, then a whole `attention_lstm`, then a hidden dense layer.

    The maps of the last block are read one after the other, each from its top row to its bottom
    row. As in the original, the Attention-LSTM keeps its own layer of one value per class, here
    `attention_logits`, so that the hidden layer only sees as many values as there are classes.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        filters: filters of each conv block.
        units: size of the LSTM's state.
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
        >>> hybrid().count_params()  # PyTorch counts 512 more: its LSTM has two biases.
        206154
    """
    check_can_be_halved(name, input_shape, times=len(filters))

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    maps = keras.layers.Permute((2, 3, 1), name="crops_as_channels")(standardised)
    maps = conv_blocks(maps, filters)
    maps = keras.layers.Permute((3, 1, 2), name="map_by_map")(maps)
    count, height, width = maps.shape[1:]
    rows = keras.layers.Reshape((count * height, width), name="rows")(maps)
    summary = lstm_with_attention(rows, units)
    features = keras.layers.Dense(num_classes, name="attention_logits")(summary)
    features = keras.layers.Dense(dense_units, activation="relu", name="dense")(features)
    return keras.Model(crops, logits(features, num_classes), name=name)
