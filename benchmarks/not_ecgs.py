"""Pictures that are not ECG pages: photographs that installed packages ship, and drawn ones.

Each entry of `pictures()` is `(name, luma)`. They are the same every time.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

EACH = 16
"""Drawn pictures of each kind."""

PHOTOGRAPHS = {
    "skimage": "data",
    "sklearn": "datasets/images",
    "matplotlib": "mpl-data/sample_data",
}
"""Packages that ship photographs and scans, and where in them; those not installed are left out."""

WORDS = ["the", "heart", "is", "a", "muscle", "that", "pumps", "blood", "at", "a", "steady", "rate"]


def pictures():
    """All pictures, as pairs of a name and a uint8 array (height, width)."""
    yield from _photographs()
    for kind, draw in DRAWN.items():
        for number in range(EACH):
            rng = np.random.default_rng([len(kind), number])
            yield f"{kind} {number}", draw(rng)


def _photographs():
    """Each photograph whole, and three parts of it."""
    for package, folder in PHOTOGRAPHS.items():
        if find_spec(package) is None:
            continue
        root = Path(find_spec(package).submodule_search_locations[0]) / folder
        for path in sorted(root.iterdir()):
            if path.suffix not in (".jpg", ".png") or path.stat().st_size < 4000:
                continue
            image = Image.open(path).convert("L")
            yield path.name, np.asarray(image)
            width, height = image.size
            for part in range(3):
                left, top = part * width // 6, part * height // 6
                box = (left, top, left + 2 * width // 3, top + 2 * height // 3)
                yield f"{path.name} part {part}", np.asarray(image.crop(box).resize((1200, 900)))


def _sheet(rng, shade=255):
    size = [(1240, 1754), (1754, 1240), (2213, 1572), (900, 700)][rng.integers(4)]
    image = Image.new("L", size, shade)
    return image, ImageDraw.Draw(image)


def text(rng):
    image, draw = _sheet(rng)
    points = int(rng.integers(14, 40))
    font = ImageFont.load_default(points)
    for y in range(60, image.height - 60, int(points * rng.uniform(1.2, 2))):
        line = " ".join(rng.choice(WORDS, int(rng.integers(3, 16))))
        draw.text((60, y), line, fill=int(rng.integers(0, 90)), font=font)
    return np.asarray(image)


def blank(rng):
    image, _ = _sheet(rng, int(rng.integers(90, 256)))
    noise = rng.normal(0, rng.uniform(0, 6), (image.height, image.width))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def graph_paper(rng):
    image, draw = _sheet(rng)
    step = int(rng.integers(6, 40))
    for k, x in enumerate(range(0, image.width, step)):
        draw.line([x, 0, x, image.height], fill=120 if k % 5 else 40, width=1 + (k % 5 == 0))
    for k, y in enumerate(range(0, image.height, step)):
        draw.line([0, y, image.width, y], fill=120 if k % 5 else 40, width=1 + (k % 5 == 0))
    return np.asarray(image)


def form(rng):
    """Boxes one above the other, as in questionnaires: the nearest thing to pulses."""
    image, draw = _sheet(rng)
    font = ImageFont.load_default(24)
    side = int(rng.integers(14, 60))
    for y in range(80, image.height - 80, int(side * rng.uniform(1.3, 4))):
        draw.rectangle([60, y, 60 + int(side * rng.choice([0.5, 1])), y + side], outline=0, width=3)
        draw.text((80 + side, y), " ".join(rng.choice(WORDS, 9)), fill=0, font=font)
        draw.line([80 + side, y + side, image.width - 60, y + side], fill=0, width=2)
    return np.asarray(image)


def x_ray(rng):
    height, width = 1200, 1000
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lungs = sum(np.exp(-(((x - side) / 0.3) ** 2) - (y / 0.6) ** 2) for side in (-0.4, 0.4))
    ribs = 0.15 * np.cos(2 * np.pi * (y * rng.uniform(4, 7) + x**2)) * (np.abs(x) < 0.8)
    film = 0.75 - 0.55 * lungs + ribs + rng.normal(0, 0.02, x.shape)
    return np.clip(255 * film, 0, 255).astype(np.uint8)


def _plotted(rng, draw):
    figure = Figure(figsize=(rng.uniform(6, 12), rng.uniform(4, 9)), dpi=120)
    canvas = FigureCanvasAgg(figure)
    draw(figure)
    canvas.draw()
    return np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"))


def chart(rng):
    def draw(figure):
        for k, axes in enumerate(figure.subplots(int(rng.integers(1, 5)), squeeze=False).ravel()):
            values = rng.uniform(0.2, 1, 12)
            if (k + rng.integers(2)) % 2:
                axes.bar(range(12), values, color="none", edgecolor="black")
            else:
                axes.plot(values, "k")
            axes.grid(bool(rng.integers(2)))

    return _plotted(rng, draw)


def _strips(rng, signal, lines):
    def draw(figure):
        axes = figure.add_subplot()
        for line in range(lines):
            axes.plot(signal() - 4 * line, "k", linewidth=1)
        axes.set_axis_off()
        if rng.integers(2):
            axes.text(0, 4, "  ".join(rng.choice(WORDS, 4)))

    return _plotted(rng, draw)


def eeg(rng):
    def signal():
        waves = np.convolve(rng.normal(0, 1, 2400), np.hanning(24), "valid")
        return waves / waves.std()

    return _strips(rng, signal, int(rng.integers(4, 20)))


def seismogram(rng):
    def signal():
        time = np.arange(2000)
        shock = np.exp(-np.clip(time - rng.integers(300, 900), 0, None) / 200) * (time > 300)
        return rng.normal(0, 1, 2000) * (0.1 + 2 * shock)

    return _strips(rng, signal, int(rng.integers(1, 9)))


def single_lead(rng):
    def signal():
        time = np.linspace(0, 10, 2500)
        beat = (time * rng.uniform(0.9, 1.8)) % 1
        peaks = 3 * np.exp(-(((beat - 0.4) / 0.015) ** 2)) + 0.5 * np.exp(
            -(((beat - 0.65) / 0.05) ** 2)
        )
        return peaks + rng.normal(0, 0.03, time.size)

    return _strips(rng, signal, int(rng.choice([1, 1, 2, 3])))


DRAWN = {
    "text": text,
    "blank": blank,
    "graph paper": graph_paper,
    "form": form,
    "x-ray": x_ray,
    "chart": chart,
    "EEG": eeg,
    "seismogram": seismogram,
    "single-lead ECG": single_lead,
}
