"""The examples in the docstrings, run as they stand."""

import doctest
import pkgutil
from importlib import import_module, resources

import numpy as np
import pytest
import wfdb
from PIL import Image

import ecg_lib
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.pages.leads import LEADS


def modules_with_examples():
    """Names of the modules whose source holds an example."""
    for found in pkgutil.walk_packages(ecg_lib.__path__, "ecg_lib."):
        package, _, name = found.name.rpartition(".")
        file = f"{name}/__init__.py" if found.ispkg else f"{name}.py"
        if ">>>" in resources.files(package).joinpath(file).read_text(encoding="utf-8"):
            yield found.name


MODULES = list(modules_with_examples())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the files that the examples name: pages and a recording."""
    folder = tmp_path_factory.mktemp("examples")
    rng = np.random.default_rng(2)
    page, _ = draw_page(simulate("normal", rng), RATE, "standard_3x4_with_rhythm", rng)
    page.save(folder / "page.jpg")
    page.save(folder / "fax.tif", save_all=True, append_images=[page])
    signals = simulate("normal", rng, rate=500).T
    wfdb.wrsamp(
        "00006_hr",
        fs=500,
        units=["mV"] * len(LEADS),
        sig_name=list(LEADS),
        p_signal=signals,
        fmt=["16"] * len(LEADS),
        write_dir=str(folder),
    )
    return folder


def test_examples_are_found():
    assert {"ecg_lib.models", "ecg_lib.models.layers", "ecg_lib.pages.detection"} <= {*MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_do_what_they_say(name, files, monkeypatch):
    monkeypatch.chdir(files)
    module = import_module(name)
    # What every reader has imported: the package, numpy, and Pillow's Image.
    names = {"ecg_lib": ecg_lib, "np": np, "Image": Image, "build": ecg_lib.build}
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(verbose=False)
    tests = [test for test in finder.find(module, extraglobs=names) if test.examples]
    assert tests, f"the examples of {name} are in no docstring that doctest looks at"
    report = []
    for test in tests:
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
