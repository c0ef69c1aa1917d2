"""Train a network on labelled pages and on drawn recordings together.

A recording teaches its statements through a head of their own beside the logits, and the class
through the set of classes that may be right: the loss is the negative log probability of the whole
set. A labelled page is the set of one class, where this is the cross-entropy.

The labels of the pages are of another hospital than the statements. On recordings of other patients
the statements tell infarction from normal better than the classes do, so that after the training
the classes lean on them.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops
from scipy.special import logit

from ecg_lib.runs.teachers import INFARCTIONS, STATEMENTS, UNKNOWN

STATEMENTS_SHARE = 0.25
"""How much the statements' cross-entropy, summed over all of them, counts beside the classes'."""

LEANING = 0.3
"""How far the classes lean on the statements: the share of the difference between the logits of MI
and NORM that is added to the difference between an infarction's and normal's. Chosen on the
validation pages of folds 0 and 1 of khan2021 under clean and on recordings of the part "choice": a
larger share gains more on recordings, and raises the loss on the pages."""

SMALLEST = 1e-9
"""Stands for a probability of zero in a logarithm."""


def with_statements(model: keras.Model) -> keras.Model:
    """Return a network with a head for statements beside the logits.

    Args:
        model: a network whose last layer is named `logits`. Its weights are shared, and come first
            among those of the network that is returned.

    Returns:
        A model from crops to `(batch, classes + statements)`.
    """
    features = model.get_layer("logits").input
    head = keras.layers.Dense(len(STATEMENTS), dtype="float32", name="statements")(features)
    outputs = keras.layers.Concatenate(dtype="float32", name="taught")([model.output, head])
    return keras.Model(model.input, outputs, name=model.name)


def lean_on_statements(model: keras.Model, classes: Sequence[str]) -> None:
    """Add what a network's statements say of infarction to its logits, see `LEANING`.

    Statements and logits are linear in the same features, so this only changes the weights of the
    layer `logits`.

    Args:
        model: a network of `with_statements`.
        classes: class names in the order of the logits.
    """
    normal, infarction = (STATEMENTS.index(name) for name in ("NORM", "MI"))
    leaning = LEANING / 2 * np.array([(c in INFARCTIONS) - float(c == "normal") for c in classes])
    logits, statements = (model.get_layer(name) for name in ("logits", "statements"))
    logits.set_weights(
        [
            own + np.multiply.outer(said[..., infarction] - said[..., normal], leaning)
            for own, said in zip(logits.get_weights(), statements.get_weights(), strict=True)
        ]
    )


def statements_alone(model: keras.Model) -> keras.Model:
    """Return the part of a network of `with_statements` that goes from crops to statements."""
    return keras.Model(model.input, model.get_layer("statements").output, name=model.name)


def teaching_loss(num_classes: int) -> Callable:
    """Return the loss of labels as `ecg_lib.runs.teachers.Teachers` has them."""

    def loss(labels, outputs):
        sets, statements = labels[:, :num_classes], labels[:, num_classes:]
        shares = ops.log_softmax(outputs[:, :num_classes]) + ops.log(ops.maximum(sets, SMALLEST))
        known = ops.cast(statements >= 0, "float32")
        errors = known * ops.binary_crossentropy(
            ops.maximum(statements, 0.0), outputs[:, num_classes:], from_logits=True
        )
        return STATEMENTS_SHARE * ops.sum(errors, axis=1) - ops.logsumexp(shares, axis=1)

    return loss


def guessing_loss(labels: np.ndarray, num_classes: int) -> float:
    """Return the mean loss of a guess: classes alike, each statement as likely as it is frequent.

    Args:
        labels: of pages and recordings, as `ecg_lib.runs.teachers.Teachers` has them.
        num_classes: number of classes.
    """
    statements = labels[:, num_classes:]
    frequencies = statements[statements[:, 0] != UNKNOWN].mean(axis=0, dtype=float)
    logits = logit(frequencies.clip(SMALLEST, 1 - SMALLEST))
    guess = np.concatenate([np.zeros(num_classes), logits]).astype(np.float32)
    return float(ops.mean(teaching_loss(num_classes)(labels, np.tile(guess, (len(labels), 1)))))


def allowed_accuracy(num_classes: int) -> Callable:
    """Return the metric: whether the class of the largest logit may be right."""

    def accuracy(labels, outputs):
        named = ops.one_hot(ops.argmax(outputs[:, :num_classes], axis=1), num_classes)
        return ops.sum(named * labels[:, :num_classes], axis=1)

    return accuracy
