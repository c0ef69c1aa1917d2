"""The model card: what a run was trained on, what it reaches, and its limits.

Everything comes from the run folder: its record, its predictions and, where benchmarks wrote them
there, `refusal.csv`, `findings.csv`, `robustness.csv` and `external.csv`.
"""

import json
import math
import re
from pathlib import Path

import pandas as pd

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.data.khan2021 import DATA_NAME
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.evaluation.calibration import BINS
from ecg_lib.evaluation.intervals import CONFIDENCE, with_interval
from ecg_lib.evaluation.markdown import markdown, plain
from ecg_lib.evaluation.out_of_distribution import KEPT
from ecg_lib.files import read_csv, write_text
from ecg_lib.runs.folder import MODEL
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.findings import read_findings
from ecg_lib.serving.measured import INTERVALS, OVERALL, measure
from ecg_lib.serving.predictor import classes_of_own_layouts, only_class

CARD = "MODEL_CARD.md"
REFUSALS = "refusal.csv"

MEASURED_ELSEWHERE = {
    "robustness.csv": """\
## When a page is saved again

Test pages in other versions, read anew. Shares of pages; one whose leads are not found is not
right. changed: another label than the page as it is, of those read both times. to covid: pages of
other classes that became COVID-19. `python -m benchmarks.robustness` measures it.
""",
    "external.csv": """\
## Recordings from elsewhere

Normal against infarction on digital recordings of patients who taught nothing, drawn as pages and
read, beside the run's own pages: by the class, and by the statements MI and NORM where the network
learnt them. `python -m benchmarks.external` measures it, for the committed network on PTB-XL
(CC BY 4.0): `results/external/table.md`.
""",
}
"""Tables that benchmarks write into a run folder, and the sections of the card that show them."""

HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "auroc": "roc_auc"}
"""Names that model hubs have for figures."""


def model_card(run: str | Path) -> str:
    """Write the model card of a run as Markdown text.

    Args:
        run: the run folder.

    Raises:
        InputError: if it holds no finished run.
    """
    measured = measure(run)
    return f"""\
{_head(measured)}
# Model card: {measured.network}

{DISCLAIMER} Written by `python -m ecg_lib card` from the run record and the predictions beside it.

## Model

{_model_text(measured)}

## Intended use

To study how ECG pages are classified from their pictures: to reproduce, compare, question and
teach. Not for diagnosis, triage, or any decision about a person. It was never tried on patients.

## Data and protocol

{_data_text(measured)}

## Figures on test pages

{INTERVALS}

{markdown(measured.overall_table)}
{markdown(measured.class_table)}
## By layout

{_layout_text(measured)}
## Calibration

Probabilities are temperature scaled, with the temperature fitted on the validation pages; these are
the figures on the test pages, the expected calibration error over {BINS} bins of \
confidence.

{markdown(measured.calibration_table)}
{_findings_text(measured.run)}\
{_elsewhere_text(measured.run)}\
## When it refuses to answer

{_refusal_text(measured)}
## Limits

- The test pages are of the same source as the training pages. What holds on pages of another
  recorder, country or drawing is not in the figures on test pages.
- A class with few test pages has a wide interval: read the interval, not the figure.
- If nearly all pages of a class share a layout or a paper, part of what is measured is that;
  `audit.md` beside the tables of results says how much such shortcuts give.
- Probabilities lean on how frequent the classes are among the training pages, and on how the
  recipe weights them, which is not how frequent they are among people.
"""


def _head(measured):
    """Describe the run for model hubs, in the YAML that they read."""
    record = measured.record
    data = _quoted(record.data)
    protocol = _quoted(f"{record.data}, protocol {measured.protocol}, test pages")
    metrics = "\n".join(
        f"    - type: {metric}\n      name: {OVERALL[name]}\n      value: {value:.4f}"
        for name, metric in HUB_METRICS.items()
        if not math.isnan(value := measured.figures.loc[name, "value"])
    )
    return f"""\
---
license: {"mit" if record.data == DATA_NAME else "unknown"}
library_name: keras
pipeline_tag: image-classification
tags: [ecg, electrocardiogram, medical, not-for-diagnosis]
datasets: [{data}]
metrics: [{", ".join(HUB_METRICS.values())}]
model-index:
- name: {_quoted(measured.network)}
  results:
  - task:
      type: image-classification
    dataset:
      type: {data}
      name: {protocol}
      split: test
    metrics:
{metrics}
---
"""


def _quoted(text):
    """Quote a text for YAML, so that no Markdown or HTML in it acts where the head is shown."""
    return re.sub(r"[<>`*\[\]|]", lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(text))


def write_card(run: str | Path) -> Path:
    """Write the model card of a run into its folder; return its path."""
    path = Path(run) / CARD
    text = model_card(run)
    write_text(path, text)
    return path


def _model_text(measured):
    record = measured.record
    config = record.config
    lines = {
        "network": f"{measured.network}, {record.parameters:,} parameters",
        "input": f"13 crops of {config.size_text} pixels, "
        f"{'only the ink' if config.ink_only else 'with paper and grid'}",
        "output": f"one logit per class: {', '.join(record.classes)}",
        "training": f"recipe {config.recipe}{_taught(config)}, {record.epochs_done} epochs, "
        f"{_kept(record)}"
        f"random seed {', '.join(map(str, record.seeds))}, batch {config.batch_size}, "
        f"{' + '.join(record.devices)}",
        "code": f"ecg_lib {record.code_version}, "
        + ", ".join(f"{name} {version}" for name, version in record.libraries.items()),
        "weights": f"{MODEL}, SHA-256 {record.model_sha256}",
    }
    return _lines(lines)


def _taught(config):
    return " with recordings as teachers" if config.teachers else ""


def _kept(record):
    epoch = record.epoch_kept
    return "" if epoch is None else f"the weights after epoch {epoch}, "


def _data_text(measured):
    record = measured.record
    protocol = PROTOCOLS[measured.protocol]
    fold = f", fold {record.config.fold} of {protocol.folds}" if protocol.folds > 1 else ""
    pages = ", ".join(f"{count:,} {split}" for split, count in record.pages.items())
    lines = {
        "data": f"{record.data} (hash {record.data_hash[:12]})",
        "protocol": f"{measured.protocol}{fold}: {protocol.description}",
        "pages": f"{pages} (split {record.split_hash[:12]})",
    }
    if record.config.teachers:
        lines["teachers"] = (
            f"drawn recordings, without labels of the classes (digest {record.config.teachers}); "
            "those of the committed network are of PTB-XL 1.0.3, Wagner et al. 2020, CC BY 4.0"
        )
    return _lines(lines)


def _lines(lines):
    return "\n".join(f"- {name}: {plain(text)}" for name, text in lines.items())


def _layout_text(measured):
    table = measured.layout_table
    if table.empty:
        return "The layouts of these pages are not in the catalogue of published pages.\n"
    return (
        "Share of test pages that are right, by layout, and how many pages of each class it has. A "
        f"layout that nearly all pages of a class share gives that class away.\n\n"
        f"{markdown(table)}"
    )


def _refusal_text(measured):
    limit = measured.answering.largest_score
    strange = (
        "A page is refused where its leads cannot be found. The network has no out-of-distribution "
        "score, so no page is refused for looking unlike the training pages."
    )
    if limit is not None:
        strange = (
            "A page is refused where its leads cannot be found, and where it looks like nothing in "
            "training. The measure is the squared Mahalanobis distance of its features from those "
            "of the training pages, divided by their number: about 1 for a training page, and at "
            f"most {limit:.2f}, which keeps at least {round(100 * KEPT)} % of the validation pages."
        )
    text = f"{strange}\n\n{_layouts_of_one_class(measured.record)}\n"
    path = measured.run / REFUSALS
    if not path.is_file():
        return text
    table = read_csv(path, dtype=str, keep_default_na=False)
    return f"""\
{text}
What is let through, as a share: by reading alone ("read"; empty where the crops are of no page), by
the distance alone, on crops cut where a page has its leads ("near"), and by both ("answered").

{markdown(table.map(plain))}"""


def _findings_text(run):
    """The section on findings; empty where the network may list none."""
    known = read_findings(run)
    if not known:
        return ""
    table = pd.DataFrame(
        {
            "finding": plain(of.finding),
            "recordings with it": of.recordings,
            "AUROC": with_interval(of.auroc, of.low, of.high),
            "listed above": f"{of.threshold:.3g}",
        }
        for of in known
    )
    percent = round(100 * CONFIDENCE)
    return f"""\
## Findings beside the class

Statements that the network learnt from drawn recordings, and may list with an answer, measured on
drawn recordings of patients that it never saw. In brackets: {percent} % intervals, bootstrap over
patients. The findings are chosen by these figures, which are therefore a little too high for them.
`python -m benchmarks.findings` measures them, for the committed network in
`results/external/findings/table.md`. How well they hold on scanned pages is not measured: the pages
of the classes have no statements.

{markdown(table)}
"""


def _elsewhere_text(run):
    """The sections on tables that lie in the run folder; empty where there is none."""
    sections = [
        f"{text}\n{markdown(read_csv(run / name, dtype=str, keep_default_na=False).map(plain))}\n"
        for name, text in MEASURED_ELSEWHERE.items()
        if (run / name).is_file()
    ]
    return "".join(sections)


def _layouts_of_one_class(record):
    """Say for which layouts which class is no answer."""
    given = [
        f"{DISPLAY_NAMES[name]} for {layout}"
        for layout in record.layouts or {}
        if (name := only_class(record, layout)) is not None
    ]
    if not given:
        return "In no layout were all labelled training pages of one class."
    text = (
        "If all labelled training pages in a layout were of one class, that class is not an answer "
        f"for a page in that layout: {', '.join(map(plain, given))}."
    )
    if names := classes_of_own_layouts(record):
        alone = " and ".join(DISPLAY_NAMES[name] for name in names)
        text += (
            f" Nearly all labelled training pages of {alone} were in such layouts. It is not an "
            "answer in any layout, therefore: the network may know the layouts and not the class."
        )
    return text
