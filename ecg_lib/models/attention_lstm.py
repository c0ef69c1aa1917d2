"""Attention-LSTM: the crops' pixel rows are a sequence."""

import keras

from ecg_lib.models.layers import logits, lstm_with_attention, standardised_crops


def attention_lstm(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    units: int = 128,
    name: str = "attention_lstm",
) -> keras.Model:
    """Build an LSTM with attention over the pixel rows of all crops, one below the other.

    The weights of the rows are the output of the layer `attention`,
    `(batch, crops * height)`.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        units: size of the LSTM's state.
        name: the model's name.

    Returns:
        A functional `keras.Model`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Example:
        >>> attention_lstm().count_params()  # PyTorch counts 512 more: its LSTM has two biases.
        148613
    """
    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    number_of_crops, height, width = input_shape
    rows = keras.layers.Reshape((number_of_crops * height, width), name="rows")(standardised)
    summary = lstm_with_attention(rows, units)
    return keras.Model(crops, logits(summary, num_classes), name=name)
