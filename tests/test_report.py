"""The HTML report: whole, self-contained, and safe whatever a file is called."""

import base64
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from conftest import change_record
from PIL import Image

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.measured import measure
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.report import document, limits, open_report, section

NAME = "<b>&$x$'\x1b.jpg"


class Parts(HTMLParser):
    """The tags that are open at the end, all attributes, and the text of a page."""

    VOID = ("meta", "img")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def predictor(finished_run):
    return Predictor(finished_run.run_path)


@pytest.fixture(scope="module")
def answers(predictor, pages_folder, tmp_path_factory):
    """Of a page with an awkward name, and of a file that is no page."""
    folder = tmp_path_factory.mktemp("awkward")
    shutil.copy(pages_folder / "normal" / "normal_0001.jpg", folder / NAME)
    (folder / "<script>.jpg").write_text("no page", encoding="utf-8")
    return [predictor.answer(folder / name) for name in (NAME, "<script>.jpg")]


@pytest.fixture(scope="module")
def page(predictor, answers, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    with open_report(path, predictor) as add:
        for answer in answers:
            add(answer)
    return path.read_text(encoding="utf-8")


def test_it_is_whole(page):
    assert page.startswith("<!DOCTYPE html>")
    assert Parts(page).open == []


def test_nothing_is_fetched_or_run(page):
    parts = Parts(page)
    sources = [value for name, value in parts.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not {"script", "link", "iframe", "b>&$x$'.jpg"} & set(parts.tags)
    assert not re.search(r"https?:|url\(|@import", page)


def test_it_shows_the_page_the_crops_and_what_drove_the_answer(page):
    pictures = re.findall(r"base64,([^\"]+)", page)
    assert len(pictures) == 4
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert image.width > 500


def test_it_says_the_answer_the_refusal_and_the_limits(page, answers, finished_run):
    text = Parts(page).text
    answered, refused = answers
    assert NAME.replace("\x1b", r"\x1b") in text
    assert f"{DISPLAY_NAMES[answered.label]}, with a calibrated probability" in text
    for name, share in answered.probabilities.items():
        assert f"{DISPLAY_NAMES[name]}{share:.2f}" in text
    assert f"No answer: {refused.refusal}" in text
    measured = measure(finished_run.run_path)
    assert measured.summary in text
    assert measured.class_table["sensitivity"].iloc[0] in text
    assert text.count(DISCLAIMER) == 2


def test_a_strangers_record_stays_text(finished_run, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    change_record(run, data="<script>alert(1)</script>")
    shown = limits(run)
    assert "<script" not in shown
    assert "trained on <script>alert(1)</script> under" in Parts(document(shown)).text


def test_a_caution_is_shown_with_the_answer(answers, predictor):
    answered, _ = answers
    cautioned = section(replace(answered, caution="no <page> was"), predictor)
    assert "Caution: no <page> was." in Parts(cautioned).text
    assert "Caution" not in section(replace(answered, caution=None), predictor)
