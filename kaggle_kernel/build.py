"""Build the dataset and the kernel for training on Kaggle, each in a folder to upload.

    python kaggle_kernel/build.py --owner YOUR_NAME --pages OWNER/SLUG

    OUTPUT/package   the wheel, the notebooks, code_version.txt, dataset-metadata.json
    OUTPUT/kernel    the driver notebook, kernel-metadata.json

README.md, beside this file, says how to use them. Exit status: 2 if an input cannot be used.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ecg_lib.errors import InputError
from ecg_lib.files import code_version, write_text

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent

KERNEL_METADATA = "kernel-metadata.json"
DATASET_METADATA = "dataset-metadata.json"

WHEEL_SOURCES = ("pyproject.toml", "README.md", "LICENSE")
"""What a wheel is built from, besides the package."""


def main(arguments=None):
    """Build from command-line arguments; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        build(**vars(options))
    except (InputError, OSError) as error:
        print(f"build.py: error: {error}", file=sys.stderr)
        return 2
    print(
        f"code {code_version()}\n"
        f"upload: kaggle datasets create -p {options.output / 'package'}\n"
        f"run:    kaggle kernels push -p {options.output / 'kernel'}"
    )
    return 0


def build(owner, pages, output, resume=False):
    """Write the folders `package` and `kernel`.

    Args:
        owner: name of the Kaggle account that both will belong to.
        pages: the dataset of pages on Kaggle, as `owner/slug`.
        output: the folder to write them into.
        resume: whether the kernel resumes from the output of its previous version.

    Raises:
        InputError: if the wheel cannot be built.
        OSError: if the folder cannot be written to.
    """
    package, kernel = output / "package", output / "kernel"
    for folder in (package, kernel):
        folder.mkdir(parents=True, exist_ok=True)
    for old in package.glob("ecg_lib-*.whl"):
        old.unlink()
    _build_wheel(package)
    for notebook in (PROJECT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, package)
    write_text(package / "code_version.txt", code_version())
    _write_json(package / DATASET_METADATA, _filled_in(DATASET_METADATA, owner, pages))

    kernel_metadata = _filled_in(KERNEL_METADATA, owner, pages)
    if resume:
        kernel_metadata["kernel_sources"] = [kernel_metadata["id"]]
    _write_json(kernel / KERNEL_METADATA, kernel_metadata)
    shutil.copy(HERE / kernel_metadata["code_file"], kernel)


def _parser():
    # Without a usage line, an error is one line.
    parser = argparse.ArgumentParser(
        "build.py", argparse.SUPPRESS, __doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--owner", type=_owner, required=True, help="your name on Kaggle")
    parser.add_argument(
        "--pages", type=_dataset, required=True, metavar="OWNER/SLUG", help="the dataset of pages"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "build", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="resume from the output of the previous version"
    )
    return parser


def _owner(text):
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name on Kaggle: expected letters, digits and hyphens, such as "
            "jo-doe"
        )
    return text


def _dataset(text):
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w-]*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a dataset on Kaggle: expected OWNER/SLUG, the end of its address"
        )
    return text


def _filled_in(name, owner, pages):
    """Read a metadata file and replace its placeholders OWNER/PAGES and OWNER."""
    text = (HERE / name).read_text(encoding="utf-8")
    filled = re.sub("OWNER/(PAGES)?", lambda found: pages if found[1] else f"{owner}/", text)
    return json.loads(filled)


def _write_json(path, content):
    write_text(path, json.dumps(content, indent=2) + "\n")


def _build_wheel(folder):
    """Build the wheel from a copy: setuptools packs what lies in a build folder from before."""
    with tempfile.TemporaryDirectory() as source:
        for name in WHEEL_SOURCES:
            shutil.copy(PROJECT / name, source)
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "ecg_lib", Path(source, "ecg_lib"), ignore=without)
        pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        built = subprocess.run(
            [*pip, "--wheel-dir", folder, source], capture_output=True, encoding="utf-8"
        )
    if built.returncode:
        raise InputError(f"the wheel cannot be built: {built.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    sys.exit(main())
