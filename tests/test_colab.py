"""The start notebook on Colab: what its image has, and what pip adds from the package's wheel."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import packages_used
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

PYTHON = "3.12.12"

ADDED = {"edfio", "imagehash", "keras", "papermill", "tensorflow", "wfdb"}
"""What Colab lacks, or has in an older version (TensorFlow 2.19, Keras 3.10)."""

ONLY_FOR_SOME_PAGES = {"pillow_heif", "pypdfium2"}
"""Import names of what reads HEIC and PDF files; `ecg_lib.pages` says so where it is missing."""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def required(project):
    """The package's requirements by their names."""
    found = map(Requirement, project["dependencies"])
    return {canonicalize_name(requirement.name): requirement for requirement in found}


@pytest.fixture(scope="module")
def colab():
    """Versions of Colab's packages by their names."""
    lines = (Path(__file__).parent / "colab_2026_01.txt").read_text(encoding="utf-8").splitlines()
    pinned = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pinned}


def test_colab_s_python_will_do(project):
    assert PYTHON in SpecifierSet(project["requires-python"])


def test_pip_changes_nothing_that_colab_has_but_tensorflow_and_keras(required, colab):
    met = {name for name in required if colab.get(name, "0") in required[name].specifier}
    assert required.keys() - met == ADDED


def test_the_start_notebook_needs_nothing_beyond_the_requirements(required):
    used = packages_used(ROOT / "notebooks" / "00_start_here.ipynb") - ONLY_FOR_SOME_PAGES
    assert {"tensorflow", "imagehash", "IPython"} <= used
    distributions = packages_distributions()
    unknown = {
        name
        for name in used - {"IPython"}  # The notebook's own.
        if required.keys().isdisjoint(map(canonicalize_name, distributions[name]))
    }
    assert unknown == set()
