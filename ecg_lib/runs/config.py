"""RunConfig: the one typed list of a run's options."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError, one_of
from ecg_lib.models import MODELS
from ecg_lib.runs.workers import worker_name

RECIPES = ("published", "augmented")


STRATEGIES = ("auto", "single", "mirrored")


DEFAULT_SIZE = 64
"""Height and width of a crop, in pixels, unless given."""


@dataclass(frozen=True)
class RunConfig:
    """What is trained, on what, and how. The parameters of `02_train_model` are these fields.

    Attributes:
        data: folder of pages, one folder a class. The default is drawn if it is not there.
        protocol: which pages train and test: "published", "plain", "clean" or "clean-3x4", see
            `ecg_lib.data.protocols.PROTOCOLS`.
        model: which network, see `ecg_lib.models.MODELS`.
        height: height of a crop, in pixels.
        width: width of a crop, in pixels.
        epochs: number of times the training pages are gone through.
        batch_size: pages a training step, over all replicas together.
        learning_rate: the highest one; the recipe says how it falls.
        recipe: how the network is trained: "published" (Adamax, halved after epochs 10 and 15) or
            "augmented" (AdamW along a cosine, on pages that are changed at random).
        seed: random seed of weights, data order, and the split where the protocol draws one.
        fold: which fold is tested on, from 0, where the protocol has several.
        ink_only: whether paper and grid are removed, so that only the trace is left.
        strategy: "single" device, "mirrored" over all, or "auto": mirrored over two or more GPUs.
            Where TF_CONFIG names several workers, both are mirrored over the devices of all.
        mixed_precision: whether GPUs compute in float16 where they can: faster on a T4, and slower
            on a CPU. Weights, logits and the saved model stay in float32.
        deterministic: whether TensorFlow is kept to operations that repeat exactly; slower.
        prepared: folder where prepared sets are kept.
        results: folder where run folders are kept.

    Raises:
        InputError: if a value is not one of those allowed.
    """

    data: str = "data/synthetic"
    protocol: str = "plain"
    model: str = "cnn_2d"
    height: int = DEFAULT_SIZE
    width: int = DEFAULT_SIZE
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 0.001
    recipe: str = "published"
    seed: int = 1
    fold: int = 0
    ink_only: bool = False
    strategy: str = "auto"
    mixed_precision: bool = False
    deterministic: bool = False
    prepared: str = "prepared"
    results: str = "runs"

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            # A whole number will do for a float; a bool, to Python an int, will not do for either.
            accepted = (float, int) if field.type is float else field.type
            if not isinstance(value, accepted) or isinstance(value, bool) != (field.type is bool):
                raise InputError(
                    f"{field.name} is {value!r}: expected a value of type {field.type.__name__}"
                )
        one_of("protocol", self.protocol, PROTOCOLS)
        one_of("model", self.model, MODELS)
        one_of("recipe", self.recipe, RECIPES)
        one_of("strategy", self.strategy, STRATEGIES)
        for name in ("height", "width", "epochs", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}: expected more than 0")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}: expected 0 or more")
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
    def folds(self):
        """Number of folds that the protocol has."""
        return PROTOCOLS[self.protocol].folds

    @property
    def folder_name(self):
        """The data folder's name, as it may stand in the path of a run."""
        return re.sub(r"\W+", "_", self.data_path.name).strip("_").lower() or "pages"

    @property
    def data_name(self):
        """Name of the data set in the results: that of the protocol's data, else the folder's."""
        return PROTOCOLS[self.protocol].data_name or self.folder_name

    @property
    def run_name(self):
        """Name of the run's folder: model, variant, random seed, fold."""
        size = f"-{self.height}px" if self.height == self.width else f"-{size_text(asdict(self))}px"
        size = "" if size == f"-{DEFAULT_SIZE}px" else size
        ink = "-ink" if self.ink_only else ""
        recipe = "" if self.recipe == "published" else f"-{self.recipe}"
        precision = "-fp16" if self.mixed_precision else ""
        fold = f"-f{self.fold}" if self.folds > 1 else ""
        return f"{self.model}{size}{ink}{recipe}{precision}-s{self.seed}{fold}"

    @property
    def data_path(self):
        return project_path(self.data)

    @property
    def prepared_path(self):
        return project_path(self.prepared) / self.data_name

    @property
    def results_path(self):
        return project_path(self.results)

    @property
    def table_path(self):
        """Folder of all runs on the same data under the same protocol, and of their table."""
        return self.results_path / self.data_name / self.protocol

    @property
    def run_path(self):
        return self.table_path / self.run_name

    @property
    def notebook_path(self):
        """Where papermill writes the executed training notebook, by each worker its own."""
        worker = worker_name()
        return self.table_path / f"{self.run_name}{worker and f'.{worker}'}.ipynb"

    def what_counts(self):
        """The fields that a run's result depends on, for telling whether a run was done before."""
        where = ("data", "prepared", "results")
        return {name: value for name, value in asdict(self).items() if name not in where}


DEMO = {
    "cnn_2d": {"height": 64, "width": 64, "epochs": 15},
    "cnn_3d": {"height": 32, "width": 32, "epochs": 8},
    "attention_lstm": {"height": 32, "width": 32, "epochs": 15},
    "hybrid": {"height": 32, "width": 32, "epochs": 8},
    "attention_vgg": {"height": 32, "width": 32, "epochs": 2},
    "time_distributed_cnn": {"height": 32, "width": 32, "epochs": 10},
}
"""What `run` trains on the synthetic pages if nothing else is asked for: six trainings that fit
into some minutes on two CPU cores."""


DEMO_PAGES_PER_CLASS = 100
"""Number of synthetic pages that are drawn of each class."""


def crop_options(config):
    """What a run's crops are made by: keyword arguments of `crop_leads` and of `prepare`.

    Args:
        config: a `RunConfig`'s fields as a dict, such as a run's record holds them.
    """
    return {name: config[name] for name in ("height", "width", "ink_only")}


def crop_size(config):
    """Height and width of a run's crops, in pixels; of the same dict as `crop_options`."""
    return config["height"], config["width"]


def size_text(config):
    """The same in words, such as "64x64"."""
    return "{}x{}".format(*crop_size(config))


def option_descriptions():
    """What `RunConfig`'s text says of each field, for the command line: `{name: text}`."""
    listed = RunConfig.__doc__.split("Attributes:")[1].split("Raises:")[0]
    found = re.findall(r"^ {8}(\w+): (.+?)(?=^ {8}\w|\Z)", listed, flags=re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def project_path(path):
    """`path` itself if it is absolute, else `path` below the project's folder.

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
