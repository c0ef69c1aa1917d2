"""Train one model on one split of the pages, and record the results."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import (
    fit_answering,
    fit_statistics,
    write_statistics,
)
from ecg_lib.files import only_process_in
from ecg_lib.models import MODELS, load, save
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import (
    LOCK_SECONDS,
    MODEL,
    STATEMENTS_HEAD,
    finish_run,
    is_finished,
    note_resumed,
    open_run,
    remove_backup,
)
from ecg_lib.runs.inputs import Inputs, name_of_data
from ecg_lib.runs.predictions import SCORED_SPLITS, make_predictions, write_predictions
from ecg_lib.runs.workers import is_chief, worker_count
from ecg_lib.training.batches import PREDICT_BATCH, all_pages, batches, moments
from ecg_lib.training.checkpoints import Checkpoints
from ecg_lib.training.devices import (
    choose_strategy,
    device_name,
    mixed_policy,
    wait_for_workers,
)
from ecg_lib.training.lessons import plan_lessons
from ecg_lib.training.recipes import RECIPES, Recipe, compile_model
from ecg_lib.training.teaching import (
    LEANING,
    allowed_accuracy,
    guessing_loss,
    lean_on_statements,
    statements_alone,
    teaching_loss,
    with_statements,
)

logger = logging.getLogger(__name__)


def train(
    config: RunConfig,
    inputs: Inputs,
    builder: Callable[..., keras.Model] | None = None,
    recipe: Recipe | None = None,
) -> Path:
    """Train the model of a `RunConfig`, unless the same run is finished already.

    An interrupted training is resumed after its last whole epoch. The weights are saved as
    `model.keras`; the predictions and all figures are computed by that file, loaded again outside
    the strategy, so that what is reported is what others can load. A run with teachers saves its
    head for statements, too, as `statements.keras`. With several workers, each has to call this
    with the same arguments; only the chief writes, see `ecg_lib.runs.workers`.

    Args:
        config: a `RunConfig`.
        inputs: what `ecg_lib.runs.inputs.open_inputs(config)` returned.
        builder: builder of the network, by default that of `config.model`. A run is recognised by
            its config alone, so another builder or recipe needs a results folder of its own.
        recipe: how the network is trained, by default that of `config.recipe`.

    Returns:
        The run folder; `ecg_lib.runs.folder` says what it holds.

    Raises:
        InputError: if the strategy or the image size cannot be used, if there are pages of one
            class only, if training ran into NaN or infinity, or if another process is training in
            the run folder.
    """
    builder = builder or MODELS[config.model]
    recipe = recipe or RECIPES[config.recipe]
    folder = config.run_path
    if not is_chief():
        if not is_finished(folder, inputs.run_key):
            _train(config, inputs, builder, recipe, folder)
        return folder
    if not is_finished(folder, inputs.run_key):
        with only_process_in(folder, LOCK_SECONDS):
            if not is_finished(folder, inputs.run_key):
                open_run(folder, inputs.run_key)
                _train(config, inputs, builder, recipe, folder)
    remove_backup(folder)
    return folder


def _train(config, inputs, builder, recipe, folder):
    """Train, predict, and write the record last."""
    prepared = inputs.prepared
    strategy = choose_strategy(config.strategy)
    wait_for_workers(strategy)  # Until then, the chief may be clearing the run folder.
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()

    classes = inputs.classes
    if len(classes) < 2:
        raise InputError(
            f"{config.data_path} holds pages of one class only, {classes[0]}: expected a folder "
            f"with a folder for each of two or more classes"
        )
    new_model = _model_factory(builder, prepared.crops, inputs.rows["train"], len(classes))
    lessons = plan_lessons(config, inputs, recipe.balance)
    fitted = _fit(config, strategy, inputs, lessons, new_model, recipe, folder)
    fitted |= {"data": name_of_data(config, prepared.pages)}

    if is_chief():
        _judge(inputs, lessons, fitted, folder)
    wait_for_workers(strategy)  # Until then, there is no record to read.


def _model_factory(builder, crops, training_rows, num_classes):
    """Return a function that builds the network with the statistics of the training pages."""
    mean, variance = moments(crops, training_rows)
    return partial(builder, crops.shape[1:], num_classes, mean=mean, variance=variance)


def _judge(inputs, lessons, fitted, folder):
    """Predict with the saved model, and write the record."""
    prepared, splits, classes = inputs.prepared, inputs.splits, inputs.classes
    model = load(folder / MODEL)
    scored = splits.index[splits.isin(SCORED_SPLITS)].to_numpy()
    logits = model.predict(prepared.crops[scored], batch_size=PREDICT_BATCH, verbose=0)
    predictions = make_predictions(prepared.pages.loc[scored], splits, classes, logits)
    predictions = write_predictions(folder, predictions)
    statistics = fit_statistics(model, lessons.training.crops, lessons.validation.crops)
    write_statistics(folder, statistics)
    finish_run(
        folder,
        inputs.run_key,
        **fitted,
        classes=tuple(classes),
        parameters=model.count_params(),
        trainable_parameters=int(sum(np.prod(w.shape) for w in model.trainable_weights)),
        pages={name: len(of_split) for name, of_split in inputs.rows.items()},
        layouts=inputs.layouts,
        answering=fit_answering(predictions, statistics),
    )


def _fit(config, strategy, inputs, lessons, new_model, recipe, folder):
    """Train, save the weights and `history.csv`; return what the record says about it."""
    protocol, num_classes = PROTOCOLS[config.protocol], len(inputs.classes)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise InputError(
            f"batch_size {config.batch_size} does not divide among {replicas} devices: "
            f"expected a multiple of {replicas}"
        )
    # With teachers, a head for statements is trained, too.
    whole = with_statements if inputs.teachers else _alone
    judged_by = (teaching_loss(num_classes), allowed_accuracy(num_classes))
    checkpoints = Checkpoints(folder, protocol.keep_best, read_only=not is_chief())
    with strategy.scope(), precision(mixed_policy() if config.mixed_precision else "float32"):
        model = whole(new_model())
        compile_model(
            *(model, recipe, config.learning_rate, lessons.steps, config.epochs),
            *(judged_by if inputs.teachers else ()),
        )
        done = checkpoints.restore(model)
    if done:
        logger.info("%s: resuming after epoch %s of %s", config.run_name, done, config.epochs)
        if is_chief():
            note_resumed(folder, done)
    if done < config.epochs:
        model.fit(
            batches(
                lessons.training,
                lessons.order,
                lessons.batch_size,
                augment=recipe.augment,
                seed=config.seed,
                skip=done * lessons.steps,
            ),
            steps_per_epoch=lessons.steps,
            initial_epoch=done,
            epochs=config.epochs,
            validation_data=all_pages(lessons.validation, replicas),
            shuffle=False,
            # Keras prints one line per epoch.
            verbose=2 if logger.isEnabledFor(logging.INFO) else 0,
            callbacks=[EpochSeconds(), keras.callbacks.TerminateOnNaN(), checkpoints],
        )
    history = checkpoints.history
    _check_numbers(config, history, folder)
    guess = np.log(num_classes)
    if inputs.teachers:
        guess = guessing_loss(lessons.training.labels[lessons.order], num_classes)
    _check_learning(config, history, guess)
    if is_chief():
        checkpoints.restore_kept(model)
        # Saved without the optimiser, whose state is twice as large as the weights, and in float32,
        # which every device computes.
        to_save = new_model()
        whole_to_save = whole(to_save)
        whole_to_save.set_weights(model.get_weights())
        if inputs.teachers:
            lean_on_statements(whole_to_save, inputs.classes)
            save(statements_alone(whole_to_save), folder / STATEMENTS_HEAD)
        save(to_save, folder / MODEL)
    return {
        "recipe": recipe.choice + _teaching(inputs),
        "epochs_done": len(history),
        "epoch_kept": checkpoints.epoch_kept,
        "resumed": done > 0,
        "wall_seconds": round(float(history["seconds"].sum()), 1),
        "strategy": type(strategy).__name__,
        "workers": worker_count(),
        "replicas": replicas,
        "batch_per_replica": config.batch_size // replicas,
        "devices": tuple(map(device_name, strategy.extended.worker_devices)),
    }


def _alone(model):
    return model


def _teaching(inputs):
    """Say for the record what else than pages the network was trained on."""
    if not inputs.teachers:
        return ""
    drawn = len(inputs.teachers["train"].crops)
    return (
        f"; in each step as many drawn recordings beside the pages, of {drawn:,} in all; the "
        f"classes lean on the statements by {LEANING}"
    )


def _check_numbers(config, history, folder):
    """Refuse a training that ran into NaN or infinity, where Keras stops."""
    finite = np.isfinite(history[["loss", "val_loss"]]).all(axis="columns")
    failed = history["epoch"][~finite]
    if failed.empty:
        return
    # The saved states may hold them, too, so that there is nothing to resume from.
    remove_backup(folder)
    raise InputError(
        f"{config.run_name}: training ran into NaN or infinity in epoch {failed.iloc[0] + 1}: "
        f"expected a smaller learning_rate than {config.learning_rate}"
    )


def _check_learning(config, history, guess):
    """Warn about a network that is no better than a guess on what it was trained on."""
    loss = history["loss"].iloc[-1]
    if loss >= guess:
        logger.warning(
            "%s: nothing was learnt: the training loss is %.3g, that of a guess %.3g; expected "
            "another learning_rate than %g, or more epochs",
            *(config.run_name, loss, guess, config.learning_rate),
        )


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Let models that are built in this context compute under a dtype policy of Keras."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class EpochSeconds(keras.callbacks.Callback):
    """Add the duration of each epoch, in seconds, to its logs as `seconds`."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = round(time.perf_counter() - self._begin, 3)
