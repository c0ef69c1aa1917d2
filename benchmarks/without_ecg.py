"""Pictures without a page of twelve leads: photographs that packages ship, and drawn ones.

Each entry of `pictures()` and of `gridded_pictures()` is `(name, luma)`; they are always the same.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

EACH = 16
"""Drawn pictures of each kind."""

EACH_GRIDDED = 10

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


def gridded_pictures():
    """Pictures with grids, as ECG pages have them, drawn by code: pairs like `pictures`."""
    for kind, draw in GRIDDED.items():
        for number in range(EACH_GRIDDED):
            rng = np.random.default_rng([EACH, len(kind), number])
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
    """Draw boxes one above the other, as in questionnaires; they resemble calibration pulses."""
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


# --- pictures with grids


def _gridded(rng, draw, panels=1):
    """Plot on millimetre paper in any colour."""
    figure = Figure(figsize=(rng.uniform(8, 12), rng.uniform(5, 9)), dpi=150)
    colour = str(rng.choice(["tomato", "lightpink", "mediumseagreen", "cornflowerblue", "silver"]))
    for axes in figure.subplots(panels, squeeze=False).ravel():
        draw(axes)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            axis.set_ticks(np.linspace(low, high, 11))
            axis.set_ticks(np.linspace(low, high, 51), minor=True)
        axes.grid(which="major", color=colour, linewidth=0.8)
        axes.grid(which="minor", color=colour, linewidth=0.3)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"))


def millimetre_paper(rng):
    """Draw printed graph paper, empty or with a curve."""

    def draw(axes):
        if rng.random() < 0.5:
            axes.plot(rng.normal(0, 1, 40).cumsum(), "k")

    return _gridded(rng, draw)


def spreadsheet(rng):
    """Draw cells with numbers, numbered rows and lettered columns."""
    image, draw = _sheet(rng)
    font = ImageFont.load_default(int(rng.integers(14, 22)))
    width, height = int(rng.integers(80, 160)), int(rng.integers(24, 40))
    for column, x in enumerate(range(0, image.width, width)):
        draw.line([x, 0, x, image.height], fill=150)
        draw.text((x + width // 2, 4), chr(65 + column % 26), fill=60, font=font)
        for row, y in enumerate(range(height, image.height, height)):
            if column == 0:
                draw.line([0, y, image.width, y], fill=150)
            words = str(row + 1) if column == 0 else f"{rng.normal(50, 30):.1f}"
            if rng.random() < 0.7:
                draw.text((x + 6, y + 4), words, fill=30, font=font)
    return np.asarray(image)


def eeg_on_grid(rng):
    """Draw an EEG's channels, each with its electrodes' names, on a grid."""
    names = ["Fp1-F3", "F3-C3", "C3-P3", "P3-O1", "Fp2-F4", "F4-C4", "C4-P4", "P4-O2", "Fz-Cz"]
    lines = int(rng.integers(6, len(names) + 1))

    def draw(axes):
        for line, name in enumerate(names[:lines]):
            waves = np.convolve(rng.normal(0, 1, 2000), np.hanning(rng.integers(8, 40)), "valid")
            axes.plot(waves / waves.std() - 4 * line, "k", linewidth=0.7)
            axes.text(0, 1 - 4 * line, name, fontsize=8)

    return _gridded(rng, draw)


def spirometry(rng):
    """Draw loops of flow over volume, or volume over time."""

    def draw(axes):
        for _ in range(rng.integers(1, 4)):
            volume = np.linspace(0, rng.uniform(2, 6), 200)
            share = volume / volume[-1]
            if rng.random() < 0.5:
                flow = rng.uniform(4, 10) * share**0.3 * (1 - share)
                axes.plot(volume, flow, "k")
                axes.plot(volume, -rng.uniform(3, 6) * np.sin(np.pi * share), "k")
            else:
                axes.plot(8 * share, volume[-1] * (1 - np.exp(-4 * share)), "k")
        axes.set_xlabel("Volume (l)")
        axes.set_title("FVC  FEV1  PEF")

    return _gridded(rng, draw)


def cardiotocogram(rng):
    """Draw a fetus's heart rate above the contractions, on the paper of such machines."""
    time = np.arange(0, 30, 0.02)

    def draw(axes):
        if axes.get_subplotspec().rowspan.start == 0:
            slow = np.convolve(rng.normal(0, 4, time.size), np.hanning(60) / 8, "same")
            axes.plot(time, rng.uniform(120, 155) + slow, "k", linewidth=0.8)
            axes.set_ylim(50, 210)
        else:
            peaks = np.exp(-(((time - 3) % rng.uniform(4, 8) - 2) ** 2))
            axes.plot(time, 15 + 60 * peaks + rng.normal(0, 1, time.size), "k", linewidth=0.8)
            axes.set_ylim(0, 100)

    return _gridded(rng, draw, panels=2)


GRIDDED = {
    "millimetre paper": millimetre_paper,
    "spreadsheet": spreadsheet,
    "EEG on a grid": eeg_on_grid,
    "spirometry": spirometry,
    "cardiotocogram": cardiotocogram,
}
