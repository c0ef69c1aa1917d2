"""AttentionVGG: a VGG that classifies by what its attention maps pick out."""

import keras

from ecg_lib.models.layers import (
    SpatialAttention,
    WeightedSum,
    check_image_size,
    logits,
    standardised_crops,
)


def attention_vgg(
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    *,
    mean: float = 0.0,
    variance: float = 1.0,
    filters: tuple[int, ...] = (64, 128, 256, 512),
    name: str = "attention_vgg",
) -> keras.Model:
    """Build a VGG whose classifier sees three attention-weighted sums of local features.

    Local features are tapped at three depths: after block 3 at the full image size, after block
    4 at half of it and after block 5 at a quarter. The attention maps are the outputs of the
    layers `attention1`, `attention2` and `attention3`.

    A dead branch: the compatibility u . (l + g) of local features l with the global features g
    is u . l + u . g, and u . g is the same at every position, so the softmax over the positions
    cancels it. Blocks 6 and 7 and `global_conv`, which compute g, therefore get no gradient
    (only rounding errors of one) and do not influence the output: 5.77 of 20.6 million
    parameters. They are kept for parity with the published network. The paper's other
    compatibility, the dot product l . g, does not have this fault.

    Args:
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.
        filters: filters of block 1, block 2, block 3, and all the later blocks.
        name: the model's name.

    Returns:
        A functional `keras.Model`.

    Input shape:
        `(batch, crops, height, width)`, uint8 or float, 0 to 255.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        InputError: if height or width is not a multiple of 32, so that the global features are
            not those of the whole image.

    Example:
        >>> attention_vgg().count_params()  # 20,634,693 of them trainable
        20645189

    Reference:
        [Jetley et al., Learn to Pay Attention, ICLR 2018](https://arxiv.org/abs/1804.02391),
        "att3, concat, parametrised compatibility", with early pooling removed.
    """
    _, height, width = input_shape
    check_image_size(
        name,
        input_shape,
        min(height, width) > 0 and height % 32 == 0 and width % 32 == 0,
        "a height and width that are multiples of 32",
    )
    first, second, third, later = filters

    # --- Functional model ---
    crops, standardised = standardised_crops(input_shape, mean, variance)
    maps = keras.layers.Permute((2, 3, 1), name="crops_as_channels")(standardised)
    maps = _vgg_block(maps, 1, first, convs=2)
    maps = _vgg_block(maps, 2, second, convs=2)
    local1 = _vgg_block(maps, 3, third, convs=3)
    maps = keras.layers.MaxPooling2D(2, name="block3_pool")(local1)
    local2 = _vgg_block(maps, 4, later, convs=3)
    maps = keras.layers.MaxPooling2D(2, name="block4_pool")(local2)
    local3 = _vgg_block(maps, 5, later, convs=3)
    maps = keras.layers.MaxPooling2D(2, name="block5_pool")(local3)
    for number in (6, 7):
        maps = _vgg_block(maps, number, later, convs=1)
        maps = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(maps)
    overall = keras.layers.Conv2D(later, (height // 32, width // 32), name="global_conv")(maps)

    local1 = keras.layers.Conv2D(later, 1, use_bias=False, name="attention1_projection")(local1)
    attended = []
    for number, local in enumerate((local1, local2, local3), start=1):
        attention = SpatialAttention(name=f"attention{number}")(local, overall)
        attended.append(WeightedSum(name=f"attention{number}_sum")(local, attention))
    features = keras.layers.Concatenate(name="attended")(attended)
    return keras.Model(crops, logits(features, num_classes), name=name)


def _vgg_block(maps, block, filters, convs):
    """Apply `convs` times: conv 3x3 same without bias, batch norm, ReLU."""
    for number in range(1, convs + 1):
        maps = keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, name=f"block{block}_conv{number}"
        )(maps)
        # PyTorch's defaults, as published: momentum 0.1 there is 0.9 here. Synchronised, because
        # otherwise the statistics of the replicas differ from those of the saved model.
        maps = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, synchronized=True, name=f"block{block}_norm{number}"
        )(maps)
        maps = keras.layers.ReLU(name=f"block{block}_relu{number}")(maps)
    return maps
