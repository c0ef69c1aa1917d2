"""What a network is trained on: labelled pages, in all their versions, and drawn recordings."""

from dataclasses import dataclass, replace

import numpy as np

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.inputs import Inputs
from ecg_lib.runs.teachers import STATEMENTS, UNKNOWN
from ecg_lib.training.batches import Examples, join, page_order
from ecg_lib.training.recipes import class_weights


@dataclass(frozen=True)
class Lessons:
    """The data of a training.

    Attributes:
        training: what the network is trained on.
        order: places in `training`, one training step after the other.
        steps: training steps per epoch; an epoch is a pass over the labelled pages.
        batch_size: examples per step.
        validation: what it is validated on.
    """

    training: Examples
    order: np.ndarray
    steps: int
    batch_size: int
    validation: Examples


def plan_lessons(config: RunConfig, inputs: Inputs, balance: float) -> Lessons:
    """Put together what a network is trained on, and in which order.

    A page comes in a version drawn at random, each equally likely, itself included. With teachers,
    each step has as many drawn recordings as pages. All of it depends on the seed and the number of
    the step alone, so that a training can be resumed.

    Args:
        config: a `RunConfig`.
        inputs: what `ecg_lib.runs.inputs.open_inputs(config)` returned.
        balance: how much more a page of a rare class counts, see
            `ecg_lib.training.recipes.Recipe`.
    """
    crops, rows = inputs.prepared.crops, inputs.rows
    classes = inputs.prepared.pages["class"][inputs.splits.notna()].map(inputs.classes.index)
    labels = {name: classes.loc[of_split].to_numpy() for name, of_split in rows.items()}
    pages = len(rows["train"])
    steps = -(-pages // config.batch_size)
    length = config.epochs * steps * config.batch_size
    reshuffle = PROTOCOLS[config.protocol].reshuffle
    lessons = Lessons(
        Examples(crops[rows["train"]], labels["train"], class_weights(labels["train"], balance)),
        page_order(pages, length, config.seed, reshuffle),
        steps,
        config.batch_size,
        Examples(crops[rows["validation"]], labels["validation"]),
    )
    if inputs.versions is not None:
        lessons = _with_versions(lessons, inputs.versions, config.seed)
    if inputs.teachers:
        lessons = _with_teachers(lessons, inputs, config.seed)
    return lessons


def _with_versions(lessons, versions, seed):
    own = lessons.training
    every = join([own, *(own._replace(crops=crops) for crops in versions)])
    # Another stream of random numbers than the order's, which has the seed and the round.
    rng = np.random.default_rng([seed, 0, 1])
    drawn = rng.integers(1 + len(versions), size=len(lessons.order))
    return replace(lessons, training=every, order=lessons.order + len(own.crops) * drawn)


def _with_teachers(lessons, inputs, seed):
    classes = len(inputs.classes)
    pages, validation = (
        examples._replace(labels=as_taught(examples.labels, classes))
        for examples in (lessons.training, lessons.validation)
    )
    taught, chosen = (
        Examples(teachers.crops, teachers.labels)
        for teachers in (inputs.teachers["train"], inputs.teachers["choice"])
    )
    order = len(pages.crops) + page_order(len(taught.crops), len(lessons.order), seed, True)
    return replace(
        lessons,
        training=join([pages, taught]),
        # A page and a recording in turn.
        order=np.stack([lessons.order, order], axis=1).ravel(),
        batch_size=2 * lessons.batch_size,
        validation=join(_counting_alike([validation, chosen])),
    )


def _counting_alike(parts):
    """Give each part the same share of the weight, whose mean over all examples is 1."""
    numbers = [len(part.labels) for part in parts]
    share = sum(numbers) / len(parts)
    return [
        part._replace(weights=np.full(number, share / number, np.float32))
        for part, number in zip(parts, numbers, strict=True)
    ]


def as_taught(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Write class numbers as labels of `ecg_lib.runs.teachers.Teachers`, statements unknown."""
    unknown = np.full((len(classes), len(STATEMENTS)), UNKNOWN, np.float32)
    return np.concatenate([np.eye(num_classes, dtype=np.float32)[classes], unknown], axis=1)
