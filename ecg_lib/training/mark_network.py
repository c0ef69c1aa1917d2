"""Train the network that marks traces, names and boundaries on a page, and write it as ONNX.

    python -m ecg_lib.training.mark_network --steps 4000

It learns from drawn pages alone (`ecg_lib.drawing.practice_pictures`), a new one for about every
second step, and takes 45 minutes on one free core. A training that was interrupted is resumed from
the file given by `--checkpoint`. Writing the weights needs the package `onnx`, which is in the
extra `export`. The committed weights were trained on pages of an earlier renderer.
"""

import argparse
import logging
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from ecg_lib.drawing.practice_pictures import draw_picture
from ecg_lib.drawing.simulation import RECIPES, simulate
from ecg_lib.files import replacing
from ecg_lib.models import save
from ecg_lib.pages.detection.general.marks import CELL, KINDS, WEIGHTS

PATCH = (192, 288)
"""Height and width of the pieces of pictures that are learnt from, in pixels."""

BATCH = 24

PICTURES = 300
"""Pictures held at a time, of which each step takes its patches."""

NEW_PICTURES = 0.6
"""New pictures for each step."""

AROUND_NAMES = 0.8
"""Share of the patches that are taken around a name."""

LEARNING_RATE = 2e-3

LOGGED, SAVED = 100, 200
"""After so many steps each, the loss is logged and the checkpoint is written."""

MAPS = 5
"""Trace, pulse, boundary, name, and half the name's width; the classes follow."""

logger = logging.getLogger(__name__)


def mark_network(width: int = 32) -> keras.Model:
    """Build the network: `(batch, height, width, 1)` to `(batch, height / 4, width / 4, 18)`.

    It sees about 90 pixels around each cell, enough for a name and the traces beside it.
    """
    inputs = keras.Input((None, None, 1))
    x = _convolved(inputs, 16, 5, strides=2)
    x = _convolved(x, width, 3, strides=2)
    x = _convolved(x, width, 3)
    near = _convolved(x, width, 3)
    far = _convolved(near, width, 3, dilation_rate=2)
    far = _convolved(far, width, 3, dilation_rate=3)
    x = _convolved(layers.Concatenate()([near, far]), 48, 1)
    return keras.Model(inputs, layers.Conv2D(MAPS + len(KINDS), 1)(x), name="marks")


def _convolved(x, filters, size, **options):
    x = layers.Conv2D(filters, size, padding="same", use_bias=False, **options)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


@keras.saving.register_keras_serializable(package="ecg_lib", name="marks_loss")
def loss(cells, answer):
    """Compute the cross-entropy of what cells show, and of names where there are names.

    Boundaries and names are rare: their cells count for more.
    """

    def missed(channel, more):
        target = cells[..., channel]
        entropy = ops.binary_crossentropy(target, answer[..., channel], from_logits=True)
        return ops.mean(entropy * (1 + more * target))

    named = cells[..., 3]
    number = ops.sum(named) + 1
    off = ops.sum(named * ops.abs(cells[..., 4] - answer[..., 4])) / number
    kinds = ops.cast(ops.maximum(cells[..., 5], 0), "int32")
    misread = ops.sparse_categorical_crossentropy(kinds, answer[..., MAPS:], from_logits=True)
    shown = missed(0, 0) + missed(1, 2) + 1.5 * missed(2, 14) + 2 * missed(3, 9)
    return shown + 0.3 * off + 0.6 * ops.sum(named * misread) / number


def train(steps: int, seed: int = 0, checkpoint: Path | None = None) -> keras.Model:
    """Train a network on drawn pages.

    Args:
        steps: number of steps.
        seed: random seed.
        checkpoint: file, ending with ".keras", that the unfinished network is written to and that
            an interrupted training is resumed from.
    """
    keras.utils.set_random_seed(seed)
    network = _compiled(steps)
    if checkpoint is not None and checkpoint.exists():
        network = keras.saving.load_model(checkpoint)
    done = int(network.optimizer.iterations)
    rng = np.random.default_rng([seed, done])
    recordings = [simulate(str(rng.choice(list(RECIPES))), rng) for _ in range(60)]
    pictures = [draw_picture(rng, recordings) for _ in range(30)]
    total = 0.0
    for step in range(done + 1, steps + 1):
        if rng.random() < NEW_PICTURES:
            if len(pictures) == PICTURES:
                pictures.pop(int(rng.integers(PICTURES)))
            pictures.append(draw_picture(rng, recordings))
        total += float(network.train_on_batch(*_batch(pictures, rng)))
        if step % LOGGED == 0:
            logger.info("step %d of %d: mean loss %.3f", step, steps, total / LOGGED)
            total = 0.0
        if checkpoint is not None and step % SAVED == 0:
            save(network, checkpoint)
    return network


def _compiled(steps):
    network = mark_network()
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    network.compile(keras.optimizers.Adam(rate), loss=loss)
    return network


def _batch(pictures, rng):
    patches = [_patch(pictures[rng.integers(len(pictures))], rng) for _ in range(BATCH)]
    return tuple(np.stack(arrays) for arrays in zip(*patches, strict=True))


def _patch(picture, rng):
    """A piece of a picture, and of its cells; beyond the picture's edge there is paper."""
    missing = [
        max(wanted - side, 0) for wanted, side in zip(PATCH, picture.darkness.shape, strict=True)
    ]
    dark = np.pad(picture.darkness, [(0, side) for side in missing])
    cells = np.pad(picture.cells, [*((0, -(-side // CELL)) for side in missing), (0, 0)])
    free = np.array(dark.shape) - PATCH
    corner = rng.uniform(0, 1, 2) * free
    if len(picture.names) and rng.random() < AROUND_NAMES:
        middle = picture.names[rng.integers(len(picture.names))][::-1]
        corner = np.clip(middle - rng.uniform(0.1, 0.9, 2) * PATCH, 0, free)
    top, left = (corner // CELL).astype(int)
    height, width = (side // CELL for side in PATCH)
    part = slice(top * CELL, top * CELL + PATCH[0]), slice(left * CELL, left * CELL + PATCH[1])
    return dark[part][..., None], cells[top : top + height, left : left + width]


def write_onnx(network: keras.Model, path: Path) -> None:
    """Write the network for OpenCV, the normalisations folded into the convolutions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = [], []
    outputs: dict[str, str] = {}

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    for layer, after in zip(network.layers, [*network.layers[1:], None], strict=True):
        sources = [outputs[name] for name in _inputs(layer)]
        outputs[layer.name] = layer.name
        if isinstance(layer, layers.InputLayer):
            outputs[layer.name] = "x"
        elif isinstance(layer, layers.Conv2D):
            names = constant(f"{layer.name}_w", _kernel(layer, after)[0].transpose(3, 2, 0, 1))
            bias = constant(f"{layer.name}_b", _kernel(layer, after)[1])
            nodes.append(
                helper.make_node("Conv", [*sources, names, bias], [layer.name], **_window(layer))
            )
        elif isinstance(layer, layers.BatchNormalization):
            outputs[layer.name] = sources[0]
        elif isinstance(layer, layers.ReLU):
            nodes.append(helper.make_node("Relu", sources, [layer.name]))
        else:
            nodes.append(helper.make_node("Concat", sources, [layer.name], axis=1))

    def described(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    last = network.layers[-1]
    answer = described(last.name, [1, last.filters, None, None])
    graph = helper.make_graph(
        nodes, "marks", [described("x", [1, 1, "height", "width"])], [answer], weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with replacing(path) as unfinished:
        onnx.save(model, str(unfinished))


def _inputs(layer):
    if isinstance(layer, layers.InputLayer):
        return []
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return [one._keras_history.operation.name for one in inputs]


def _kernel(layer, after):
    """A convolution's kernel and bias, with those of the normalisation after it."""
    kernel, *bias = layer.get_weights()
    if not isinstance(after, layers.BatchNormalization):
        return kernel, bias[0]
    gamma, beta, mean, variance = after.get_weights()
    scale = gamma / np.sqrt(variance + after.epsilon)
    return kernel * scale, beta - mean * scale


def _window(layer):
    """Attributes of a convolution that pads as Keras does, with more below and to the right."""
    size, stride, dilation = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    total = (size - 1) * dilation + 1 - stride
    before = total // 2
    return {
        "kernel_shape": [size] * 2,
        "strides": [stride] * 2,
        "dilations": [dilation] * 2,
        "pads": [before, before, total - before, total - before],
    }


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=4000, help="steps of training")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--checkpoint", type=Path, help="the file of an unfinished training")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the file to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = train(options.steps, options.seed, options.checkpoint)
    write_onnx(network, options.weights)


if __name__ == "__main__":
    main()
