"""A picture of a network, drawn from the model itself."""

import math
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ecg_lib.files import replacing
from ecg_lib.models import DISPLAY_NAMES, OURS, PUBLISHED, build

if TYPE_CHECKING:  # The registry chooses its backend before it is imported.
    import keras

# All lengths are in inches, so that text of one size fits whatever the network.
FONT_POINTS = 8
CHARACTER = 0.072
LINE = 0.2
PADDING = 0.07
GAP = 0.2
GUTTER = 0.7
MARGIN = 0.15

# What a box does, by the classes of layers it holds; the first that fits.
COLOURS = {
    ("SpatialAttention", "TemporalAttention", "MultiHeadAttention"): "#fde0c5",
    ("Conv2D", "ConvPool2D", "Conv3D"): "#d6e6f4",
    ("LSTM",): "#e3dcf0",
    ("Dense",): "#dcefd9",
}

WITHOUT_WEIGHTS = "#f2f2f2"
LINE_COLOUR = "#444444"
BACKWARD_COLOUR = "#c0504d"


@dataclass
class _Line:
    """Layers that are drawn as one line of a box."""

    words: str
    layers: list
    count: int = 1

    @property
    def text(self):
        return f"{self.count} × {self.words}" if self.count > 1 else self.words

    @property
    def shape(self):
        return _shape(self.layers[-1])

    @property
    def goes_on(self):
        """Whether the next layer belongs to the line: padding is part of what it pads."""
        return type(self.layers[-1]).__name__.startswith("ZeroPadding")


@dataclass
class _Box:
    """Layers that are drawn as one box: those named `block1_...`, or a single layer."""

    title: str
    layers: list = field(default_factory=list)
    beside: "_Box | None" = None
    """The box to the right of which this one is drawn, else it is part of the trunk."""
    left: float = 0.0
    top: float = 0.0

    @cached_property
    def lines(self):
        """Return what the box says, line by line; equal neighbours share a line."""
        lines = []
        for layer in self.layers:
            kind = type(layer).__name__
            if lines and (kind in ("BatchNormalization", "ReLU") or lines[-1].goes_on):
                lines[-1].words += f", {_describe(layer)}"
                lines[-1].layers.append(layer)
            else:
                _merge_last(lines)
                lines.append(_Line(_describe(layer), [layer]))
        _merge_last(lines)
        return lines

    @property
    def height(self):
        return LINE * len(self.lines) + 2 * PADDING

    def characters(self):
        """Return the length of the longest title, text and shape; bold is a tenth wider."""
        return (
            len(self.title) * 1.1,
            max(len(line.text) for line in self.lines),
            max(len(line.shape) for line in self.lines),
        )

    @property
    def colour(self):
        kinds = {type(layer).__name__ for layer in self.layers}
        return next(
            (colour for names, colour in COLOURS.items() if kinds & set(names)), WITHOUT_WEIGHTS
        )


class _Edge(NamedTuple):
    """A layer in one box is read by a layer in another."""

    source: _Box
    read: object
    target: _Box
    reader: object


def architecture_figure(model: "keras.Model") -> Figure:
    """Draw a network: one box per block with its output shapes, from top to bottom.

    Layers named `block1_...` or `attention1...` share a box. Boxes that work side by side are
    drawn beside the trunk, each at the height of the box that it reads first. Shapes leave the
    batch out.

    Args:
        model: a functional `keras.Model`, such as those of `ecg_lib.models`.

    Returns:
        A `matplotlib.figure.Figure`, 4 to 9 inches wide.

    Example:
        >>> architecture_figure(build("attention_vgg")).savefig("attention_vgg.png", dpi=150)
    """
    boxes = _group(model)
    edges = _edges(boxes)
    _choose_lanes(boxes, edges)
    trunk = [box for box in boxes if box.beside is None]
    lane = [box for box in boxes if box.beside is not None]
    trunk_columns, lane_columns = _columns(trunk), _columns(lane)
    trunk_right = MARGIN + sum(trunk_columns)
    lane_left = trunk_right + GUTTER
    lane_right = lane_left + sum(lane_columns)

    height = _place(trunk, lane, lane_left) + MARGIN
    routes = _routes(edges, trunk, trunk_right, lane_left, lane_right)
    rightmost = max(along for points, _ in routes for along, _ in [*points, (trunk_right, 0)])
    width = max(rightmost, lane_right if lane else 0) + MARGIN

    figure = Figure(figsize=(width, height), dpi=150)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    axes.text(MARGIN, MARGIN, _headline(model), fontsize=FONT_POINTS + 2, va="top")
    for box in trunk:
        _draw_box(axes, box, trunk_columns)
    for box in lane:
        _draw_box(axes, box, lane_columns)
    for points, colour in routes:
        _draw_arrow(axes, points, colour)
    return figure


# --- What is drawn ---
def _headline(model):
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    name = DISPLAY_NAMES.get(model.name, model.name)
    return f"{name}: {trainable:,} trainable parameters"


def _group(model):
    boxes = {}
    for layer in model.layers:
        numbered = re.match(r"[a-z]+\d+", layer.name)
        key = numbered.group() if numbered else layer.name
        boxes.setdefault(key, _Box(key.replace("_", " "))).layers.append(layer)
    return list(boxes.values())


def _parents(layer):
    """The layers whose outputs a layer reads, each once."""
    if type(layer).__name__ == "InputLayer":
        return []
    inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    # Keras has no public way from a tensor to the layer that made it.
    return list(dict.fromkeys(tensor._keras_history.operation for tensor in inputs))


def _edges(boxes):
    """Connections between boxes, one for each pair of boxes that are connected."""
    box_of = {layer: box for box in boxes for layer in box.layers}
    edges = {}
    for reader, target in box_of.items():
        for read in _parents(reader):
            source = box_of[read]
            if source is not target:
                edges.setdefault((id(source), id(target)), _Edge(source, read, target, reader))
    return list(edges.values())


def _merge_last(lines):
    """Let the last line count as one more of the line before it, if they say the same."""
    if len(lines) > 1 and (lines[-1].words, lines[-1].shape) == (lines[-2].words, lines[-2].shape):
        line = lines.pop()
        lines[-1].layers += line.layers
        lines[-1].count += 1


def _choose_lanes(boxes, edges):
    """Move boxes that work side by side, at the same depth, out of the trunk."""
    depth = {id(box): 0 for box in boxes}
    for _ in boxes:
        for edge in edges:
            depth[id(edge.target)] = max(depth[id(edge.target)], depth[id(edge.source)] + 1)
    depths = list(depth.values())
    for box in boxes:
        if depths.count(depth[id(box)]) > 1:
            sources = [edge.source for edge in edges if edge.target is box]
            box.beside = min(sources, key=lambda source: depth[id(source)])
    boxes.sort(key=lambda box: depth[id(box)])


def _describe(layer):
    config, kind = layer.get_config(), type(layer).__name__
    words = {
        "InputLayer": "input",
        "Normalization": "(pixel - mean) / deviation",
        "Permute": "permute axes",
        "BatchNormalization": "batch norm",
        "ReLU": "ReLU",
        "LSTM": "LSTM, all states and the last",
        "SpatialAttention": "attention map",
        "TemporalAttention": "softmax over the steps",
        "WeightedSum": "weighted sum",
        "FoldSteps": "steps into the batch",
        "UnfoldSteps": "steps out of the batch",
        "GlobalAveragePooling2D": "average over positions",
        "GlobalMaxPooling2D": "highest over positions",
        "StepEmbedding": "plus what is learnt of the place",
        "LayerNormalization": "layer norm",
    }.get(kind, kind.lower())
    if kind.startswith("Conv"):
        words = f"conv {'×'.join(map(str, config['kernel_size']))}, {config['filters']}"
        if config["strides"][0] > 1:
            words += f", stride {config['strides'][0]}"
    elif kind == "MultiHeadAttention":
        words = f"self-attention, {config['num_heads']} heads"
    elif kind.startswith("MaxPooling"):
        words = f"max-pool {config['pool_size'][0]}"
    elif kind.startswith("ZeroPadding"):
        words = "pad 1"
    activation = {"relu": ", ReLU", "tanh": ", tanh"}.get(config.get("activation"), "")
    pool = ", max-pool 2" if kind == "ConvPool2D" else ""
    return words if kind == "LSTM" else words + activation + pool


def _shape(layer):
    output = layer.output[0] if isinstance(layer.output, list | tuple) else layer.output
    return "×".join(str(length) for length in output.shape[1:])


# --- Where it is drawn ---
def _columns(boxes):
    """Widths of title, description and shape that fit all the boxes of a lane."""
    if not boxes:
        return (0.0, 0.0, 0.0)
    widest = map(max, zip(*(box.characters() for box in boxes), strict=True))
    return tuple(characters * CHARACTER + 2 * PADDING for characters in widest)


def _place(trunk, lane, lane_left):
    """Set every box's left and top, and return where the lowest ends."""
    top = MARGIN + 2 * LINE
    for box in trunk:
        beside = [side for side in lane if side.beside is box]
        box.left, box.top = MARGIN, top
        for side in beside:
            side.left, side.top = lane_left, top
        top += max(member.height for member in (box, *beside)) + GAP
    return top - GAP


def _routes(edges, trunk, trunk_right, lane_left, lane_right):
    """Return the points and the colour of every arrow."""
    routes, skips = [], 0
    for edge in edges:
        source, target = edge.source, edge.target
        leaves, enters = _line_of(source, edge.read), _line_of(target, edge.reader)
        colour = LINE_COLOUR
        if target.beside is source:
            points = [(trunk_right, leaves), (lane_left, leaves)]
        elif target.beside is not None:
            # Up the gutter to a box further up, and in below what comes in from beside it.
            enters, bus, colour = enters + LINE / 2, trunk_right + GUTTER / 2, BACKWARD_COLOUR
            points = [(trunk_right, leaves), (bus, leaves), (bus, enters), (lane_left, enters)]
        elif source.beside is not None:
            bus = lane_right + GUTTER / 2
            points = [(lane_right, leaves), (bus, leaves), (bus, enters), (trunk_right, enters)]
        elif trunk.index(target) == trunk.index(source) + 1:
            centre = (MARGIN + trunk_right) / 2
            points = [(centre, source.top + source.height), (centre, target.top)]
        else:
            skips += 1
            bus = trunk_right + GAP * skips
            points = [(trunk_right, leaves), (bus, leaves), (bus, enters), (trunk_right, enters)]
        routes.append((points, colour))
    return routes


def _line_of(box, layer):
    """Height of the line of a box that shows a layer."""
    number = next(number for number, line in enumerate(box.lines) if layer in line.layers)
    return box.top + PADDING + LINE * (number + 0.5)


# --- How it is drawn ---
def _draw_box(axes, box, columns):
    axes.add_patch(
        FancyBboxPatch(
            (box.left, box.top),
            sum(columns),
            box.height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=box.colour,
            edgecolor=LINE_COLOUR,
            linewidth=0.8,
        )
    )
    title, *_ = columns
    text = {"fontsize": FONT_POINTS, "va": "center"}
    axes.text(box.left + PADDING, box.top + box.height / 2, box.title, fontweight="bold", **text)
    for number, line in enumerate(box.lines):
        middle = box.top + PADDING + LINE * (number + 0.5)
        axes.text(box.left + title + PADDING, middle, line.text, **text)
        axes.text(box.left + sum(columns) - PADDING, middle, line.shape, ha="right", **text)


def _draw_arrow(axes, points, colour):
    along, down = zip(*points[:-1], strict=True)
    axes.plot(along, down, color=colour, linewidth=0.9)
    axes.annotate(
        "",
        xy=points[-1],
        xytext=points[-2],
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "linewidth": 0.9,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def write_pictures(folder: Path) -> None:
    """Write the picture of each network as `<folder>/<model>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*PUBLISHED, *OURS):
        with replacing(folder / f"{name}.png") as part:
            architecture_figure(build(name)).savefig(part)


if __name__ == "__main__":
    write_pictures(Path(sys.argv[1]))
