"""Make the pictures of README.md and docs/: `python docs/make_pictures.py`.

They show drawn pages and committed predictions alone, never a real page.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.drawing.demo_set import draw_example
from ecg_lib.evaluation.plots import page_figure
from ecg_lib.evaluation.summary import summary_figure
from ecg_lib.pages.detection import rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.serving.predictor import Predictor

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
EXAMPLE = ("abnormal_heartbeat", 0, 2)
"""Class, random seed and number of the drawn page on the front page."""


def main() -> None:
    """Write every picture anew."""
    PICTURES.mkdir(exist_ok=True)
    summary_figure(ROOT / "results" / "khan2021").savefig(PICTURES / "protocols.png", dpi=110)
    answer_figure().savefig(PICTURES / "answer.png", dpi=80)


def answer_figure() -> Figure:
    """Draw a page, find its leads, and write the network's answer above it."""
    picture, _, quality = draw_example(*EXAMPLE)
    with TemporaryDirectory() as folder:
        page = Path(folder, "page.jpg")
        picture.save(page, quality=quality)
        answer = Predictor().answer(page)
        luma = rectify(read_luma(page), answer.detection)
    shares = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:3]
    title = ", ".join(f"{DISPLAY_NAMES[name]} {share:.2f}" for name, share in shares)
    return page_figure(luma, answer.detection.boxes, title)


if __name__ == "__main__":
    main()
