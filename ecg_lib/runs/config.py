"""RunConfig: the one typed list of a run's options."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError, one_of
from ecg_lib.models import MODELS
from ecg_lib.runs.workers import worker_name

VARIED = "varied"
"""The recipe whose training pages come in other versions, too."""

RECIPES = ("published", "augmented", VARIED)
STRATEGIES = ("auto", "single", "mirrored")

DEFAULT_SIZE = 64
"""Height and width of a crop, in pixels, unless given."""

LARGEST = {
    "height": 1024,
    "width": 1024,
    "epochs": 10_000,
    "batch_size": 4096,
    "learning_rate": 10.0,
}
"""Largest values, far above any that is of use; beyond them memory or patience would end first."""

LARGEST_SEED = 2**32 - 1
"""Largest seed that NumPy's and Keras' random generators take."""


def _option(default, description):
    """Return a field with a default and the text that the command line's help shows for it."""
    return field(default=default, metadata={"help": description})


@dataclass(frozen=True)
class RunConfig:
    """Hold the options of a run: what is trained, on what, and how.

    The parameters of `02_train_model` are these fields.

    Raises:
        InputError: if a value is not valid.
    """

    known_models: ClassVar[Collection[str]] = MODELS

    data: str = _option(
        "data/synthetic",
        "folder of pages with one folder per class; the default set is drawn if it is missing",
    )
    protocol: str = _option("plain", f"how pages are split: {', '.join(PROTOCOLS)}")
    model: str = _option("cnn_2d", f"network to train: {', '.join(MODELS)}")
    height: int = _option(DEFAULT_SIZE, "height of a crop in pixels")
    width: int = _option(DEFAULT_SIZE, "width of a crop in pixels")
    epochs: int = _option(20, "number of passes over the training pages")
    batch_size: int = _option(16, "pages per training step, over all replicas together")
    learning_rate: float = _option(0.001, "peak learning rate; the recipe sets how it decays")
    recipe: str = _option(
        "published",
        "how the network is trained: published (Adamax, halved after epochs 10 and 15), augmented "
        "(AdamW along a cosine, with random changes to the training pages) or varied (the same, "
        "and two training pages in three are saved again, scanned, printed or photographed)",
    )
    seed: int = _option(
        1, "random seed of the weights, the data order, and the split if the protocol draws one"
    )
    fold: int = _option(0, "fold to test on, from 0, if the protocol has several")
    ink_only: bool = _option(False, "remove paper and grid and keep only the ink")
    teachers: str = _option(
        "",
        "folder of recordings with statements (labels.csv) that teach the network too, drawn as "
        "pages; none by default",
    )
    strategy: str = _option(
        "auto",
        "devices: single, mirrored (all of them), or auto (mirrored over two or more GPUs); where "
        "TF_CONFIG names several workers, auto and mirrored use the devices of all workers",
    )
    mixed_precision: bool = _option(
        False,
        "compute in float16 on a GPU, in bfloat16 on a CPU: faster on a T4 and on CPUs with AMX, "
        "slower on others; weights, logits and the saved model stay in float32",
    )
    deterministic: bool = _option(
        False, "restrict TensorFlow to operations that repeat exactly; slower"
    )
    prepared: str = _option("prepared", "folder for prepared sets")
    results: str = _option("runs", "folder for run folders")

    def __post_init__(self):
        for option in fields(self):
            value = getattr(self, option.name)
            # An int is accepted for a float; a bool, which Python counts as an int, is not.
            accepted = (float, int) if option.type is float else option.type
            if not isinstance(value, accepted) or isinstance(value, bool) != (option.type is bool):
                raise InputError(
                    f"{option.name} is {value!r}: expected a value of type {option.type.__name__}"
                )
        one_of("protocol", self.protocol, PROTOCOLS)
        one_of("model", self.model, self.known_models)
        one_of("recipe", self.recipe, RECIPES)
        one_of("strategy", self.strategy, STRATEGIES)
        for name, largest in LARGEST.items():
            if not 0 < getattr(self, name) <= largest:
                raise InputError(
                    f"{name} is {getattr(self, name)}: expected more than 0 and at most {largest:,}"
                )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed is {self.seed}: expected 0 to {LARGEST_SEED:,}")
        one_of(f"fold of protocol {self.protocol}", self.fold, range(self.folds))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> "RunConfig":
        """Make a config of the values that have a field's name, such as a notebook's `globals()`.

        Args:
            parameters: values by name; a name that is no field is ignored, a field that is not
                there keeps its default.
        """
        names = [field.name for field in fields(cls) if field.name in parameters]
        return cls(**{name: parameters[name] for name in names})  # type: ignore[arg-type]

    @property
    def folds(self) -> int:
        """Number of folds that the protocol has."""
        return PROTOCOLS[self.protocol].folds

    @property
    def folder_name(self) -> str:
        """The data folder's name, in the form that it has in the path of a run."""
        return re.sub(r"\W+", "_", self.data_path.name).strip("_").lower() or "pages"

    @property
    def data_name(self) -> str:
        """Name of the data set in the results: that of the protocol's data, else the folder's."""
        return PROTOCOLS[self.protocol].data_name or self.folder_name

    @property
    def run_name(self) -> str:
        """Name of the run's folder: model, variant, random seed, fold."""
        size = f"-{self.height}px" if self.height == self.width else f"-{self.size_text}px"
        size = "" if size == f"-{DEFAULT_SIZE}px" else size
        ink = "-ink" if self.ink_only else ""
        recipe = "" if self.recipe == "published" else f"-{self.recipe}"
        teachers = "-teachers" if self.teachers else ""
        precision = "-mixed" if self.mixed_precision else ""
        fold = f"-f{self.fold}" if self.folds > 1 else ""
        return f"{self.model}{size}{ink}{recipe}{teachers}{precision}-s{self.seed}{fold}"

    @property
    def data_path(self) -> Path:
        return project_path(self.data)

    @property
    def prepared_path(self) -> Path:
        return project_path(self.prepared) / self.data_name

    @property
    def teachers_path(self) -> Path:
        return project_path(self.teachers)

    @property
    def results_path(self) -> Path:
        return project_path(self.results)

    @property
    def table_path(self) -> Path:
        """Folder of all runs on the same data under the same protocol, and of their table."""
        return self.results_path / self.data_name / self.protocol

    @property
    def run_path(self) -> Path:
        return self.table_path / self.run_name

    @property
    def notebook_path(self) -> Path:
        """Where papermill writes the executed training notebook, a file of its own per worker."""
        worker = worker_name()
        return self.table_path / f"{self.run_name}{worker and f'.{worker}'}.ipynb"

    def result_options(self) -> dict[str, Any]:
        """Return the fields that a run's result depends on: all but where files lie."""
        folders = ("data", "prepared", "results")
        return {name: value for name, value in asdict(self).items() if name not in folders}

    @property
    def crop_options(self) -> dict[str, Any]:
        """How crops are made: keyword arguments of `crop_leads` and of `prepare`."""
        return {"height": self.height, "width": self.width, "ink_only": self.ink_only}

    @property
    def size_text(self) -> str:
        """Height and width of the crops in words, such as "64x64"."""
        return f"{self.height}x{self.width}"


DEMO = {
    "cnn_2d": {"height": 64, "width": 64, "epochs": 15},
    "cnn_3d": {"height": 32, "width": 32, "epochs": 8},
    "attention_lstm": {"height": 32, "width": 32, "epochs": 15},
    "hybrid": {"height": 32, "width": 32, "epochs": 8},
    "attention_vgg": {"height": 32, "width": 32, "epochs": 2},
    "time_distributed_cnn": {"height": 32, "width": 32, "epochs": 10},
}
"""What `run` trains on the synthetic pages by default: six trainings that take some minutes on two
CPU cores."""

DEMO_PAGES_PER_CLASS = 100
"""Number of synthetic pages that are drawn of each class."""


def project_path(path: str | Path) -> Path:
    """Return `path` itself if it is absolute, else `path` below the project's folder.

    The project's folder is the nearest one at or above the current folder that holds
    `notebooks/02_train_model.ipynb`, so the same relative path means the same place in a terminal,
    under papermill, and in Jupyter, which starts in `notebooks`. Where there is none, as on
    Kaggle, it is the current folder.
    """
    here = Path.cwd()
    marked = (
        folder
        for folder in (here, *here.parents)
        if (folder / "notebooks" / "02_train_model.ipynb").exists()
    )
    return next(marked, here) / Path(path).expanduser()
