"""Measure the speed of preparing, training, answering and the pipeline, beside plain ways.

    python -m benchmarks.speed --data PAGES [--parts prepare train answer start pipeline cost]

PAGES is a folder of real pages with one folder per class, such as version 1 of the published data.
For each part a table is printed and written as CSV. speed.md holds all tables and describes the
machine; speed.png shows the figures against their targets. benchmarks/README.md explains how to
read them. Run it on a machine that does nothing else: it takes about twenty minutes on two cores
and, temporarily, 12 GB of disk for copies of pages.
"""

import argparse
import os
import platform
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.speed import prepare
from benchmarks.speed.plot import figure
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import replacing, write_csv, write_text

LIBRARIES = ("tensorflow", "keras", "numpy", "PIL", "cv2", "torch", "onnxruntime")


def main(arguments=None):
    """Measure the chosen parts and write the results."""
    options = _options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    tables = {}
    for part in options.parts:
        with tempfile.TemporaryDirectory() as work:
            table = PARTS[part](options, Path(work))
        if table is None:
            continue
        tables[part] = table
        write_csv(options.results / f"{part}.csv", table, index=False, float_format="%.4g")
        print(f"\n{part}\n{markdown(readable(table))}", flush=True)
    write_text(options.results / "speed.md", report(tables, options))
    drawn = figure(tables)
    if drawn:
        with replacing(options.results / "speed.png") as part:
            drawn.savefig(part, dpi=120)


def _options(arguments):
    parser = argparse.ArgumentParser("python -m benchmarks.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, required=True, help="folder of pages")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--results", type=Path, default=Path("results/speed"))
    parser.add_argument("--repetitions", type=int, default=9, help="timings of each")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1932, 20_000], help="pages")
    parser.add_argument("--run", type=Path, default=Path("results/models/lead_attention"))
    return parser.parse_args(arguments)


def _prepare(options, work):
    return prepare.measure(options.data, work, options.repetitions, options.sizes)


def _train(options, work):
    try:
        train = import_module("benchmarks.speed.train")
    except ModuleNotFoundError as error:
        print(f"\ntrain is left out: {error.name} is not installed, expected pip install torch")
        return None
    return train.measure(options.repetitions)


def _answer(options, work):
    from benchmarks.speed import answer

    return answer.measure(options.data, work, options.repetitions, options.run)


def _start(options, work):
    from benchmarks.speed import start

    return start.measure(options.data, work, options.repetitions, options.run)


def _pipeline(options, work):
    from benchmarks.speed import pipeline

    return pipeline.measure(options.data, work, options.repetitions)


def _cost(options, work):
    from benchmarks.speed import cost

    return cost.measure(options.data, work, options.repetitions, options.run)


PARTS = {
    "prepare": _prepare,
    "train": _train,
    "answer": _answer,
    "start": _start,
    "pipeline": _pipeline,
    "cost": _cost,
}


def readable(table):
    """Return a part's table with rounded figures, the target in words, and whether it is met."""
    shown = table[["what", "median"]].copy()
    shown["median"] = table["median"].map("{:.3g}".format)
    shown["quartiles"] = [f"{row.low:.3g} to {row.high:.3g}" for row in table.itertuples()]
    shown["unit"] = table["unit"]
    shown["target"] = [_target(row) for row in table.itertuples()]
    met = (table["median"] <= table["at_most"]) | (table["median"] >= table["at_least"])
    shown["met"] = np.where(shown["target"] == "", "", np.where(met, "yes", "no"))
    return shown


def _target(row):
    if not np.isnan(row.at_most):
        return f"at most {row.at_most:g}"
    return "" if np.isnan(row.at_least) else f"at least {row.at_least:g}"


def report(tables, options):
    """Return the tables as Markdown, with a description of the machine."""
    pages = len(prepare.readable_files(options.data))
    installed = [import_module(name) for name in LIBRARIES if find_spec(name)]
    libraries = ", ".join(f"{library.__name__} {library.__version__}" for library in installed)
    lines = [
        "# Speed\n",
        f"Measured by `python -m benchmarks.speed` with {pages:,} pages of {options.data.name} at "
        f"hand, on {processor()}, {os.cpu_count()} cores and as many threads, Python "
        f"{platform.python_version()}, {libraries}. Median and quartiles of "
        f"{options.repetitions} repetitions; benchmarks/README.md says how to read them.\n",
    ]
    lines += [
        f"## {part.capitalize()}\n\n{markdown(readable(table))}" for part, table in tables.items()
    ]
    return "\n".join(lines)


def processor():
    """Return the name of the processor, or of its architecture where the system hides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.machine())


if __name__ == "__main__":
    main()
