"""Lead attention: one encoder reads every lead, then the leads attend to each other."""

import keras

from ecg_lib.models.layers import (
    FoldSteps,
    StepEmbedding,
    UnfoldSteps,
    check_can_be_halved,
    logits,
    standardised_crops,
)


def lead_attention(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    filters: tuple[int, ...] = (16, 32, 48, 96),
    units: int = 96,
    heads: int = 4,
    dense_units: int = 128,
    dropout: float = 0.4,
    name: str = "lead_attention",
) -> keras.Model:
    """Build one convolutional encoder for all leads, self-attention between them, a dense layer.

    Made for this project. The published networks mix the crops as channels or read them as one
    sequence, so that what they learn about a wave in one lead does not help in another. Here one
    small encoder learns from 13 times as many examples before the leads are compared. An embedding
    of its place identifies a crop's lead. The first conv leaves a quarter of the pixels: the trace
    is dilated before, and most of a step's time is spent on the first maps.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        filters: filters of each of the encoder's convs: the first one 5x5 with a stride of 2, the
            others 3x3; all but the last are max-pooled by 2.
        units: values that describe a lead, a multiple of `heads`.
        heads: heads of the self-attention.
        dense_units: units of the hidden dense layer.
        dropout: share of values left out before and after the hidden dense layer.
        name: the model's name.

    Returns:
        A functional `keras.Model`. The scores of its layer `attention` are
        `(batch, heads, leads, leads)`, see `ecg_lib.serving.explain`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        InputError: if the image is too small to be halved by each conv.

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv 1706.03762.

    Example:
        >>> lead_attention().count_params()
        278373
    """
    check_can_be_halved(name, input_shape, times=len(filters))

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    leads = attend(describe_leads(standardised, filters, units), heads)
    features = keras.layers.Flatten(name="flatten")(leads)
    return keras.Model(crops, classify(features, num_classes, dense_units, dropout), name=name)


def describe_leads(
    standardised: keras.KerasTensor, filters: tuple[int, ...], units: int
) -> keras.KerasTensor:
    """Describe each lead by one shared encoder and an embedding of its place.

    Args:
        standardised: symbolic tensor of shape `(batch, leads, height, width)`.
        filters: filters of each conv.
        units: values that describe a lead.

    Returns:
        Symbolic tensor of shape `(batch, leads, units)`.
    """
    shape = standardised.shape[1:]
    maps = keras.layers.Reshape((*shape, 1), name="one_channel")(standardised)
    described = describe(FoldSteps(name="leads_apart")(maps), filters, units)
    described = UnfoldSteps(shape[0], name="leads")(described)
    return StepEmbedding(name="which_lead")(described)


def describe(maps: keras.KerasTensor, filters: tuple[int, ...], units: int) -> keras.KerasTensor:
    """Describe each image `(batch, height, width, channels)` by values `(batch, units)`."""
    maps = _encoder(maps, filters)
    pooled = [
        keras.layers.GlobalMaxPooling2D(name="block5_highest")(maps),
        keras.layers.GlobalAveragePooling2D(name="block5_average")(maps),
    ]
    both = keras.layers.Concatenate(name="block5_both")(pooled)
    return keras.layers.Dense(units, activation="relu", name="lead")(both)


def attend(leads: keras.KerasTensor, heads: int) -> keras.KerasTensor:
    """Add to each lead what it attends to in the others, `(batch, leads, units)` as before."""
    attended = keras.layers.MultiHeadAttention(
        heads, leads.shape[-1] // heads, use_bias=False, name="attention"
    )(leads, leads)
    both = keras.layers.Add(name="lead_and_others")([leads, attended])
    return keras.layers.LayerNormalization(name="attention_norm")(both)


def classify(
    features: keras.KerasTensor, num_classes: int, dense_units: int, dropout: float
) -> keras.KerasTensor:
    """End the network: a hidden dense layer between two dropouts, then one logit per class."""
    features = keras.layers.Dropout(dropout, name="dropout1")(features)
    features = keras.layers.Dense(dense_units, activation="relu", name="dense")(features)
    features = keras.layers.Dropout(dropout, name="dropout2")(features)
    return logits(features, num_classes)


def _encoder(maps, filters):
    """Apply convs with ReLU, from `(batch, height, width, channels)` to small maps."""
    for number, count in enumerate(filters, start=1):
        first, last = number == 1, number == len(filters)
        maps = keras.layers.Conv2D(
            count,
            5 if first else 3,
            strides=2 if first else 1,
            padding="same",
            use_bias=first,
            name=f"block{number}_conv",
        )(maps)
        if not first:
            # The first maps are the largest; normalising them would take a quarter of a step. With
            # so few pages, Keras' momentum of 0.99 would lag behind by several epochs.
            maps = keras.layers.BatchNormalization(
                momentum=0.9, synchronized=True, name=f"block{number}_norm"
            )(maps)
        maps = keras.layers.ReLU(name=f"block{number}_relu")(maps)
        if not last:
            maps = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(maps)
    return maps
