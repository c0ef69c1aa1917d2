"""Answers as one self-contained HTML page: pictures inside, no scripts, nothing fetched."""

import base64
from contextlib import contextmanager
from html import escape
from io import BytesIO

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.evaluation import plots
from ecg_lib.pages.detection import rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.serving.card import DISCLAIMER, INTERVALS, measure
from ecg_lib.serving.explain import lead_occlusion, paint

DPI = 90
QUALITY = 80
"""Of the page's pictures, as JPEG: grid and trace can be read, in some 200 kB each."""

STYLE = """
body { font: 16px/1.5 sans-serif; color: #222; max-width: 62em; margin: 2em auto; padding: 0 1em }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: 1em; overflow-wrap: anywhere }
img { max-width: 100%; display: block; margin: 1em 0 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd }
.dataframe { display: block; overflow-x: auto }
.share { width: 20em }
.bar { display: inline-block; height: .8em; background: #b35806 }
.notice { background: #fff3d6; color: #222; padding: .6em 1em; font-weight: bold }
.refused { background: #f4dede; color: #222; padding: .6em 1em }
"""

HEAD = f"""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ECG pages, answered by ecg_lib</title>
<style>{STYLE}</style></head>
<body>
<h1>ECG pages</h1>
<p class="notice">{DISCLAIMER}</p>
"""

TAIL = f"""\
<p class="notice">{DISCLAIMER}</p>
</body>
</html>
"""


@contextmanager
def open_report(path, predictor):
    """Begin a report; it is whole when the context is left.

    Args:
        path: the HTML file that is written.
        predictor: the `ecg_lib.serving.predictor.Predictor` whose answers are reported.

    Yields:
        A function of an `Answer` that adds it to the report.

    Raises:
        InputError: if the file cannot be written.
    """
    try:
        # A page's name need not be UTF-8.
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    with file:
        file.write(HEAD)
        yield lambda answer: file.write(section(answer, predictor))
        file.write(limits(predictor.run) + TAIL)


def whole(*parts):
    """A report of parts that are there: of `section`s, and of `limits` at the end."""
    return HEAD + "".join(parts) + TAIL


def section(answer, predictor):
    """An answer as a part of a report.

    Args:
        answer: the `ecg_lib.serving.answers.Answer`; its file must still be there.
        predictor: the `ecg_lib.serving.predictor.Predictor` that gave it.
    """
    parts = [f"<h2>{escape(answer.file.name)}</h2>"]
    if answer.refusal is not None:
        parts.append(f'<p class="refused">No answer: {escape(answer.refusal)}.</p>')
    else:
        parts.append(_probabilities(answer))
        if answer.caution is not None:
            parts.append(f'<p class="notice">Caution: {escape(answer.caution)}.</p>')
    if answer.detection is not None:
        luma = rectify(read_luma(answer.file), answer.detection)
        parts.append(_what_was_seen(answer, luma))
        if answer.refusal is None:
            parts.append(_what_drove(answer, luma, predictor))
    return "\n".join(parts) + "\n"


def _probabilities(answer):
    rows = "".join(
        f"<tr><td>{DISPLAY_NAMES[name]}</td><td>{share:.2f}</td>"
        f'<td class="share"><span class="bar" style="width: {share:.1%}"></span></td></tr>'
        for name, share in sorted(answer.probabilities.items(), key=lambda item: -item[1])
    )
    return (
        f"<p><b>{DISPLAY_NAMES[answer.label]}</b>, with a calibrated probability of "
        f"{answer.confidence:.2f}.</p>\n<table>{rows}</table>"
    )


def _what_was_seen(answer, luma):
    found = answer.detection
    page = plots.page_figure(luma, found.boxes, title=None)
    return (
        f"<p>Layout: {found.layout}; rhythm strip: "
        f"{found.rhythm_lead or 'none, or its lead not read'}; read with confidence "
        f"{found.confidence:.2f}. The leads that were found:</p>\n{_picture(page)}\n"
        f"<p>What the network sees of them:</p>\n{_picture(plots.crops_figure(answer.crops, None))}"
    )


def _what_drove(answer, luma, predictor):
    drops = lead_occlusion(predictor.logits, answer.crops, temperature=predictor.temperature)
    boxes = answer.detection.boxes
    painted = paint(drops, boxes, luma.shape[::-1])
    unit = f"drop of the probability of {DISPLAY_NAMES[answer.label]}"
    return (
        "<h3>What drove the answer</h3>\n<p>By how much the probability of "
        f"{DISPLAY_NAMES[answer.label]} drops when the network cannot see a lead: orange leads "
        "speak for it, purple ones against it. This says what the network used, not what is wrong "
        "with a heart.</p>\n"
        f"{_picture(plots.leads_figure(drops, None, unit))}\n"
        f"{_picture(plots.explanation_figure(luma, painted, boxes, None, unit))}"
    )


def limits(run):
    """What the network of a run is known to do, as a part of a report."""
    measured = measure(run)
    tables = "\n".join(
        table.to_html(index=False, border=0, justify="left")
        for table in (measured.overall_table, measured.class_table, measured.calibration_table)
    )
    pages = ", ".join(f"{count:,} {split}" for split, count in measured.record["pages"].items())
    return f"""\
<h2>What this network is known to do</h2>
<p>{escape(measured.summary)}. Pages: {pages}. {INTERVALS}</p>
{tables}
<p>These figures hold for pages of the same source as the training pages. Elsewhere they do not.</p>
"""


def _picture(figure):
    with BytesIO() as file:
        figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": QUALITY})
        data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'
