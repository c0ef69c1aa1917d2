"""Answers as one self-contained HTML page: pictures inside, no scripts, nothing fetched."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.evaluation import plots
from ecg_lib.evaluation.style import CLASS_COLOURS
from ecg_lib.pages.detection import rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.serving.answers import DISCLAIMER, Answer
from ecg_lib.serving.markup import Html, html, joined
from ecg_lib.serving.measured import INTERVALS, measure
from ecg_lib.serving.occlusion import lead_occlusion, paint
from ecg_lib.serving.outputs import open_text
from ecg_lib.serving.predictor import Predictor

DPI = 90
QUALITY = 80
"""JPEG quality of the pictures: grid and trace can be read, in some 200 kB each."""

STYLE = Html("""
body { font: 16px/1.5 sans-serif; color: #222; max-width: 62em; margin: 2em auto; padding: 0 1em }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: 1em; overflow-wrap: anywhere }
img { max-width: 100%; display: block; margin: 1em 0 }
.wide { overflow-x: auto }
.wide img { min-width: 38em }
table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd }
.dataframe { display: block; overflow-x: auto }
.share { width: 20em }
.bar { display: inline-block; height: .8em }
.notice { background: #fff3d6; color: #222; padding: .6em 1em; font-weight: bold }
.refused { background: #f4dede; color: #222; padding: .6em 1em }
""")

DARK = Html("""
@media (prefers-color-scheme: dark) {
body { color: #ddd; background: #181818 }
h2, th, td { border-color: #444 }
}
""")
"""The report in the dark; the web page has Gradio's own way."""

HEAD = html(
    """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>ECG pages, answered by ecg_lib</title>
<style>{style}</style></head>
<body>
<h1>ECG pages</h1>
<p class="notice">{disclaimer}</p>
""",
    policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    style=joined([STYLE, DARK]),
    disclaimer=DISCLAIMER,
)

TAIL = html(
    """\
<p class="notice">{disclaimer}</p>
</body>
</html>
""",
    disclaimer=DISCLAIMER,
)


@contextmanager
def open_report(path: Path, predictor: Predictor) -> Iterator[Callable[[Answer], None]]:
    """Begin a report, which is complete when the context is left.

    Args:
        path: the HTML file to write.
        predictor: the predictor whose answers are reported.

    Yields:
        A function of an `Answer` that adds it to the report.

    Raises:
        InputError: if the file cannot be written.
    """
    end = limits(predictor.run) + TAIL
    with open_text(path) as write:
        write(HEAD)
        try:
            yield lambda answer: write(section(answer, predictor))
        finally:  # A report that is interrupted is a whole page of the answers so far.
            write(end)


def document(*parts: Html) -> Html:
    """Make a complete report of `section`s, and of `limits` at the end."""
    return joined([HEAD, *parts, TAIL])


def section(answer: Answer, predictor: Predictor) -> Html:
    """Describe an answer as a part of a report.

    Args:
        answer: the answer; its file must still exist.
        predictor: the predictor that gave it.
    """
    parts = [html("<h2>{name}</h2>", name=answer.file.name)]
    if answer.refusal is not None:
        parts.append(refusal(answer.refusal))
    else:
        parts.append(_probabilities(answer))
        if answer.findings is not None:
            parts.append(_findings(answer, predictor))
        if answer.caution is not None:
            parts.append(html('<p class="notice">Caution: {caution}.</p>', caution=answer.caution))
    if answer.detection is not None:
        luma = rectify(read_luma(answer.file), answer.detection)
        parts.append(_leads_found(answer, luma))
        if answer.refusal is None:
            parts.append(_leads_used(answer, luma, predictor))
    return joined([*parts, ""], "\n")


def refusal(sentence: object) -> Html:
    """Say why there is no answer, as a part of a report."""
    return html('<p class="refused">No answer: {sentence}.</p>', sentence=sentence)


def _probabilities(answer):
    rows = joined(
        html(
            "<tr><td>{name}</td><td>{share}</td>"
            '<td class="share"><span class="bar" style="width: {percent}; background: {colour}">'
            "</span></td></tr>",
            name=DISPLAY_NAMES[name],
            colour=CLASS_COLOURS[name],
            share=f"{share:.2f}",
            percent=f"{share:.1%}",
        )
        for name, share in sorted(answer.probabilities.items(), key=lambda item: -item[1])
    )
    return html(
        "<p><b>{name}</b>, with a calibrated probability of {confidence}.</p>\n"
        "<table>{rows}</table>",
        name=DISPLAY_NAMES[answer.label],
        confidence=f"{answer.confidence:.2f}",
        rows=rows,
    )


def _findings(answer, predictor):
    if not answer.findings:
        looked_for = ", ".join(known.finding for known in predictor.known_findings)
        return html("<p>No findings, of these: {looked_for}.</p>", looked_for=looked_for)
    rows = joined(
        html(
            "<tr><td>{finding}</td><td>{probability}</td><td>{auroc}</td></tr>",
            finding=found.finding,
            probability=f"{found.probability:.2f}",
            auroc=f"{found.auroc:.2f}",
        )
        for found in answer.findings
    )
    return html(
        "<p>Findings beside the class, learnt from recordings. The AUROC says how well each was "
        "told apart on drawn recordings of other patients.</p>\n"
        "<table><tr><th>finding</th><th>probability</th><th>AUROC</th></tr>{rows}</table>",
        rows=rows,
    )


def _leads_found(answer, luma):
    found = answer.detection
    return html(
        "<p>Layout: {layout}; rhythm strip: {rhythm_strip}; read with confidence {confidence}. The "
        "leads found:</p>\n{page}\n<p>What the network sees of them:</p>\n{crops}",
        layout=found.layout,
        rhythm_strip=found.rhythm_lead or "none, or its lead not read",
        confidence=f"{found.confidence:.2f}",
        page=_wide(_picture(plots.page_figure(luma, found.boxes, title=None))),
        crops=_wide(_picture(plots.crops_figure(answer.crops, None))),
    )


def _leads_used(answer, luma, predictor):
    temperature = predictor.answering.temperature
    drops = lead_occlusion(predictor.logits, answer.crops, temperature=temperature)
    boxes = answer.detection.boxes
    painted = paint(drops, boxes, luma.shape[::-1])
    name = DISPLAY_NAMES[answer.label]
    unit = f"drop of the probability of {name}"
    return html(
        "<h3>What drove the answer</h3>\n<p>By how much the probability of {name} drops when the "
        "network cannot see a lead: orange leads speak for it, purple ones against it. This says "
        "what the network used, not what is wrong with a heart.</p>\n{leads}\n{page}",
        name=name,
        leads=_picture(plots.leads_figure(drops, None, unit)),
        page=_wide(_picture(plots.explanation_figure(luma, painted, boxes, None, unit))),
    )


def limits(run: Path) -> Html:
    """Say how well the network of a run was measured to work, as a part of a report."""
    measured = measure(run)
    tables = joined(
        (
            Html(table.to_html(index=False, border=0, justify="left", escape=True))
            for table in (
                measured.overall_table,
                measured.class_table,
                measured.calibration_table,
            )
        ),
        "\n",
    )
    pages = ", ".join(f"{count:,} {split}" for split, count in measured.record.pages.items())
    return html(
        """\
<h2>What this network is known to do</h2>
<p>{summary}. Pages: {pages}. {intervals}</p>
{tables}
<p>These figures hold for pages of the same source as the training pages, and not elsewhere.</p>
""",
        summary=measured.summary,
        pages=pages,
        intervals=INTERVALS,
        tables=tables,
    )


def _picture(figure):
    with BytesIO() as file:
        figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": QUALITY})
        data = base64.b64encode(file.getvalue()).decode()
    return html('<img alt="" src="data:image/jpeg;base64,{data}">', data=data)


def _wide(picture):
    """Let a picture scroll on a narrow screen, so that its small print stays readable."""
    return html('<div class="wide">{picture}</div>', picture=picture)
