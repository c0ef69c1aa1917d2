"""Make a folder that a hosted Space serves the web page from.

    python docs/make_space.py FOLDER [--model RUN]

    README.md           the settings of the Space, as a head in YAML
    requirements.txt    what answering needs; no TensorFlow, since ONNX Runtime answers
    app.py              starts the web page
    ecg_lib/            the package
    model/              the run: model.onnx, its record and its predictions

docs/serving.md says how to try the folder and how to upload it.
"""

import argparse
import json
import shutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from ecg_lib.errors import InputError
from ecg_lib.files import replacing
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.card import CARD, MEASURED_ELSEWHERE, REFUSALS
from ecg_lib.serving.findings import FINDINGS
from ecg_lib.serving.measured import measure

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODEL = ROOT / "results" / "models" / "lead_attention"

ANSWERING = {"numpy", "pandas", "pillow", "scipy", "matplotlib", "opencv-python-headless"} | {
    *("joblib", "filelock", "tqdm")
}
"""The package's requirements that answering imports."""

EXTRAS = ("app", "files")

APP = '''\
"""Serve the web page in a hosted Space. Written by docs/make_space.py."""

import os
from pathlib import Path

from ecg_lib.serving.app import serve
from ecg_lib.serving.predictor import Predictor

predictor = Predictor(Path(__file__).with_name("model"), "onnx")
# Gradio's own variable, and the name under which the host reaches the Space.
port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
serve(predictor, "0.0.0.0", port, os.environ.get("SPACE_HOST"))
'''


def main(arguments: list[str] | None = None) -> int:
    """Make the folder from command-line arguments; return the exit status."""
    parser = argparse.ArgumentParser("make_space.py", description="Make a folder for a Space.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that is not there")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, metavar="RUN")
    options = parser.parse_args(arguments)
    try:
        make_space(options.folder, options.model)
    except InputError as error:
        print(f"make_space.py: error: {error}", file=sys.stderr)
        return 2
    print(f"written to {options.folder}")
    return 0


def make_space(folder: Path, run: Path) -> None:
    """Write the folder of a Space.

    Args:
        folder: the folder, which must not exist yet.
        run: the run folder of the network that answers.

    Raises:
        InputError: if the run was not exported as ONNX, or the folder cannot be written.
    """
    if folder.exists():
        raise InputError(f"{folder} exists: expected the name of a new folder")
    measured = measure(run)
    if not (run / "model.onnx").is_file():
        raise InputError(
            f"{run} holds no model.onnx: python -m ecg_lib export {run} --format onnx writes it"
        )
    with replacing(folder) as part:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "ecg_lib", part / "ecg_lib", ignore=without)
        (part / "model").mkdir()
        network = ("model.onnx", "run.json", "predictions.csv")
        for name in (*network, FINDINGS, REFUSALS, *MEASURED_ELSEWHERE, CARD):
            if (run / name).is_file():
                shutil.copy(run / name, part / "model")
        texts = {"app.py": APP, "requirements.txt": _requirements(), "README.md": _readme(measured)}
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8")


def _requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    needed = [text for text in project["dependencies"] if _name(text) in ANSWERING]
    needed += [text for text in optional["export"] if _name(text) == "onnxruntime"]
    needed += [text for extra in EXTRAS for text in optional[extra]]
    return "".join(f"{text}\n" for text in needed)


def _name(requirement):
    return requirement.partition(">")[0]


def _readme(measured):
    return f"""\
---
title: What does a network see in this ECG page?
sdk: gradio
sdk_version: {json.dumps(version("gradio"))}
python_version: "3.12"
app_file: app.py
license: mit
short_description: Research software, not a diagnosis
---

Drop the picture of a 12-lead ECG page: where its leads were found, how probable each condition is
according to the network, and which leads drove that. **{DISCLAIMER}** A page is removed as soon as
it is answered.

{measured.summary}. What it can and cannot do: [model/{CARD}](model/{CARD}).
"""


if __name__ == "__main__":
    sys.exit(main())
