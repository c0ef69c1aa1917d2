"""The networks against the published ones, layer by layer where the counts cannot tell."""

import gc
import json
import os
import subprocess
import sys
from itertools import count

import keras
import numpy as np
import pytest
from conftest import TINY
from full_disk import FullDisk

from ecg_lib import models
from ecg_lib.errors import InputError

PARAMETERS = {
    "cnn_2d": 2_178_949,
    "cnn_3d": 3_903_109,
    "attention_lstm": 148_613,
    "hybrid": 206_154,
    "attention_vgg": 20_634_693,
    "time_distributed_cnn": 27_337_861,
    "lead_attention": 278_021,
    "testing": 497,
}
"""Trainable parameters at full size, five classes."""

NOT_TRAINABLE = {"attention_vgg": 10_496, "lead_attention": 352}
"""The moving statistics of batch normalisation."""

SIDE = 32

pixels = np.random.default_rng(0).integers(0, 256, (4, 13, SIDE, SIDE), dtype=np.uint8)


def small(name, num_classes=5):
    keras.utils.set_random_seed(0)
    return models.build(
        name, (13, SIDE, SIDE), num_classes, mean=127.5, variance=5400.0, **TINY.get(name, {})
    )


def outputs_of(model, *layers):
    """The outputs of the named layers for the test's pixels, as arrays."""
    taps = {layer: model.get_layer(layer).output for layer in layers}
    outputs = keras.Model(model.input, taps)(pixels)
    return [np.asarray(outputs[layer]) for layer in layers]


# --- The registry ---


def test_every_registered_model_is_pinned_and_tested():
    assert set(models.MODELS) == set(PARAMETERS) == {*TINY, "testing"} == set(models.DISPLAY_NAMES)
    assert {*models.PUBLISHED, *models.OURS, "testing"} == set(models.MODELS)


def test_listing_the_models_imports_no_tensorflow():
    code = (
        "import sys; from ecg_lib.models import MODELS; list(MODELS);"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def in_another_process(code, **environment):
    """Run Python code; return the finished process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
    )


def test_what_the_user_s_keras_is_set_to_does_not_matter(tmp_path):
    settings = {"backend": "jax", "floatx": "float16", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    code = (
        "import ecg_lib; model = ecg_lib.build('cnn_2d', filters=(4, 6), dense_units=8)\n"
        "print(model.output.dtype, [layer.data_format for layer in model.layers if "
        "hasattr(layer, 'data_format')][0], {w.dtype for w in model.weights})"
    )
    done = in_another_process(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="jax")
    assert done.stdout.split() == ["float32", "channels_last", "{'float32'}"], done.stderr
    assert done.stderr.splitlines()[0].startswith("KERAS_BACKEND is jax: ecg_lib runs on TensorFl")


def test_keras_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Keras was imported with the backend jax: expected tens"):
        models.build("testing")


def test_unknown_model_is_refused_with_the_valid_names():
    with pytest.raises(InputError, match=r"unknown model 'vgg'.*cnn_2d.*attention_vgg"):
        models.build("vgg")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no model at .*absent\.keras"):
        models.load(tmp_path / "absent.keras")


# --- What all networks promise ---


@pytest.mark.parametrize("name", models.MODELS)
def test_parameter_count_is_pinned(name):
    model = models.build(name)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == PARAMETERS[name]
    assert model.count_params() - trainable == NOT_TRAINABLE.get(name, 0)
    assert model.name == name


@pytest.mark.parametrize("name", models.MODELS)
def test_logits_are_float32_and_one_a_class(name):
    for num_classes in (4, 5):
        model = small(name, num_classes)
        logits = model(pixels)
        assert tuple(logits.shape) == (4, num_classes)
        assert model.output_shape == (None, num_classes)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("name", models.MODELS)
def test_logits_stay_float32_under_mixed_precision(name):
    # Not float16: TensorFlow cannot max-pool a volume of it without a GPU.
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits = small(name)(pixels)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", models.MODELS)
def test_input_is_named_and_the_same_for_all(name):
    model = small(name)
    assert [tensor.name for tensor in model.inputs] == ["crops"]
    assert model.input_shape == (None, 13, SIDE, SIDE)
    np.testing.assert_array_equal(model(pixels), model(pixels.astype("float32")))
    np.testing.assert_allclose(
        outputs_of(model, "standardise")[0], (pixels - 127.5) / np.sqrt(5400.0), rtol=1e-5
    )


@pytest.mark.parametrize("name", models.MODELS)
def test_saved_model_predicts_the_same(name, tmp_path):
    model = small(name)
    models.save(model, tmp_path / "model.keras")
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(pixels), model(pixels), rtol=1e-6)


def test_saved_model_loads_where_nothing_was_imported(tmp_path):
    path = tmp_path / "model.keras"
    models.save(small("attention_vgg"), path)
    code = f"from ecg_lib import models; models.load({str(path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    """Nor does anything print a traceback when it is thrown away half written."""
    path, printed = tmp_path / "model.keras", []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    model = small("testing")
    models.save(model, path)
    before = path.read_bytes()
    for place in count():
        disk = FullDisk(tmp_path, place, stays=True)
        try:
            with disk.inserted():
                models.save(model, path)
        except InputError as error:
            assert f"{path} cannot be written: No space left on device" in str(error)
        gc.collect()
        assert printed == [] and set(tmp_path.iterdir()) >= {path}
        if not disk.was_reached:
            break
        assert path.read_bytes() == before
    assert place > 20
    assert models.load(path).count_params() == model.count_params()


@pytest.mark.parametrize("name", models.MODELS)
def test_one_step_moves_every_weight_but_the_dead_branch(name):
    model = small(name)
    # Plain gradient descent: Adamax would make full steps of a dead branch's rounding errors.
    model.compile(
        keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before = model.get_weights()
    paths = [weight.path for weight in model.weights]
    trainable = {weight.path for weight in model.trainable_weights}
    model.train_on_batch(pixels, np.arange(4))
    still = {
        path.split("/")[0]
        for path, old, new in zip(paths, before, model.get_weights(), strict=True)
        if path in trainable and np.abs(new - old).max() < 1e-6
    }
    assert still == (DEAD_BRANCH if name == "attention_vgg" else set())


DEAD_BRANCH = {
    "block6_conv1",
    "block6_norm1",
    "block7_conv1",
    "block7_norm1",
    "global_conv",
}


@pytest.mark.parametrize(
    ("name", "input_shape", "valid"),
    [
        ("cnn_2d", (13, 3, 64), "height and width of at least 4"),
        ("cnn_3d", (13, 64, 3), "at least 4 crops of at least 4x4"),
        ("cnn_3d", (3, 64, 64), "at least 4 crops of at least 4x4"),
        ("hybrid", (13, 64, 2), "height and width of at least 4"),
        ("attention_vgg", (13, 48, 64), "height and width that are multiples of 32"),
        ("attention_vgg", (13, 64, 0), "height and width that are multiples of 32"),
        ("time_distributed_cnn", (13, 60, 64), "multiple of 8"),
        ("time_distributed_cnn", (13, 64, 3), "width of at least 4"),
        ("lead_attention", (13, 15, 64), "height and width of at least 16"),
        ("testing", (13, 1, 64), "height and width of at least 2"),
    ],
)
def test_impossible_image_size_is_refused(name, input_shape, valid):
    with pytest.raises(InputError, match=f"{name} cannot take .* pixels: expected .*{valid}"):
        models.build(name, input_shape)


@pytest.mark.parametrize(
    ("name", "input_shape"),
    [
        ("cnn_2d", (13, 4, 7)),
        ("cnn_3d", (4, 4, 4)),
        ("attention_lstm", (1, 2, 1)),
        ("hybrid", (13, 5, 4)),
        ("attention_vgg", (13, 32, 64)),
        ("time_distributed_cnn", (13, 8, 4)),
        ("lead_attention", (13, 8, 20)),
        ("testing", (13, 2, 2)),
    ],
)
def test_smallest_and_oblong_images_are_taken(name, input_shape):
    model = models.build(name, input_shape, **TINY.get(name, {}))
    assert np.isfinite(model(np.full((2, *input_shape), 255, np.uint8))).all()


# --- What is particular to one ---


def test_cnn_2d_sees_the_crops_as_channels():
    (maps, standardised) = outputs_of(small("cnn_2d"), "crops_as_channels", "standardise")
    np.testing.assert_array_equal(maps[1, 2, 3], standardised[1, :, 2, 3])


def test_cnn_3d_pads_by_one_and_rounds_down_as_published():
    model = models.build("cnn_3d")
    axes = np.array([13, 64, 64])
    for block, size in enumerate((3, 3, 2, 2, 2), start=1):
        convolved = axes + 2 * 1 - (size - 1)  # PyTorch's formula, stride 1, padding 1
        assert model.get_layer(f"block{block}_conv").output.shape[1:4] == tuple(convolved)
        axes = convolved // 2
        assert model.get_layer(f"block{block}_pool").output.shape[1:4] == tuple(axes)


def test_cnn_3d_sees_the_crops_as_depth():
    model = small("cnn_3d")
    kernel, bias = model.get_layer("block1_conv").get_weights()
    (volume, convolved) = outputs_of(model, "standardise", "block1_conv")
    padded = np.pad(volume[1], 1)
    window = padded[4 : 4 + 3, 5 : 5 + 3, 6 : 6 + 3]
    expected = np.maximum(np.einsum("dhw,dhwf->f", window, kernel[:, :, :, 0]) + bias, 0)
    np.testing.assert_allclose(convolved[1, 4, 5, 6], expected, rtol=1e-4, atol=1e-5)


def test_attention_lstm_reads_crop_by_crop_from_the_top_row():
    (rows, standardised) = outputs_of(small("attention_lstm"), "rows", "standardise")
    expected = np.concatenate([standardised[:, crop] for crop in range(13)], axis=1)
    np.testing.assert_array_equal(rows, expected)
    assert models.build("attention_lstm").get_layer("rows").output.shape == (None, 832, 64)


def test_hybrid_reads_map_by_map_from_the_top_row():
    (rows, maps) = outputs_of(small("hybrid"), "rows", "block2_conv")
    expected = np.concatenate([maps[..., number] for number in range(maps.shape[-1])], axis=1)
    np.testing.assert_array_equal(rows, expected)
    assert models.build("hybrid").get_layer("rows").output.shape == (None, 2048, 16)


def test_folded_steps_are_time_distributed():
    folded = small("time_distributed_cnn")
    steps = keras.layers.TimeDistributed
    conv1, conv2, dense, last = (
        folded.get_layer(name) for name in ("block1_conv", "block2_conv", "dense", "logits")
    )
    strips = keras.Input((8, 13 * SIDE // 8, SIDE, 1))
    maps = steps(conv1)(strips)
    maps = steps(conv2)(maps)
    reference = keras.Model(strips, last(dense(keras.layers.Flatten()(maps))))

    (standardised,) = outputs_of(folded, "standardise")
    expected = reference(standardised.reshape(4, 8, 13 * SIDE // 8, SIDE, 1))
    np.testing.assert_allclose(folded(pixels), expected, rtol=1e-4, atol=1e-5)


ATTENTION_MAPS = ("attention1", "attention2", "attention3")


def test_attention_vgg_taps_the_published_sizes():
    model = models.build("attention_vgg")
    shapes = [model.get_layer(name).output.shape for name in ATTENTION_MAPS]
    assert shapes == [(None, 64, 64), (None, 32, 32), (None, 16, 16)]
    assert model.get_layer("global_conv").output.shape == (None, 1, 1, 512)
    assert model.get_layer("global_conv").kernel_size == (2, 2)
    assert model.get_layer("logits").input.shape == (None, 1536)


def test_attention_vgg_maps_sum_to_one():
    for attention in outputs_of(small("attention_vgg"), *ATTENTION_MAPS):
        assert (attention >= 0).all()
        np.testing.assert_allclose(attention.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_attention_vgg_classifies_by_the_attended_features():
    model = small("attention_vgg")
    kernel, bias = model.get_layer("logits").get_weights()
    locals_ = outputs_of(model, "attention1_projection", "block4_relu3", "block5_relu3")
    maps = outputs_of(model, *ATTENTION_MAPS)
    attended = [
        np.einsum("bhwc,bhw->bc", local, attention)
        for local, attention in zip(locals_, maps, strict=True)
    ]
    expected = np.concatenate(attended, axis=-1) @ kernel + bias
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-3, atol=1e-5)


def test_attention_vgg_ignores_its_global_features():
    model = small("attention_vgg")
    before = np.asarray(model(pixels))
    (global_before,) = outputs_of(model, "global_conv")
    dead = [model.get_layer(name) for name in DEAD_BRANCH]
    for layer in dead:
        layer.set_weights([weight + 5 for weight in layer.get_weights()])
    (global_after,) = outputs_of(model, "global_conv")
    assert np.abs(global_after - global_before).max() > 1
    np.testing.assert_allclose(model(pixels), before, rtol=1e-3, atol=1e-4)


def test_attention_vgg_dead_branch_is_as_large_as_stated():
    model = models.build("attention_vgg")
    dead = sum(
        int(np.prod(weight.shape))
        for weight in model.trainable_weights
        if weight.path.split("/")[0] in DEAD_BRANCH
    )
    assert dead == 2 * (512 * 512 * 9 + 2 * 512) + 512 * 512 * 4 + 512  # 5.77 million


def test_attention_vgg_batch_norm_is_synchronised_and_as_published():
    norms = [
        layer
        for layer in models.build("attention_vgg").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 2 + 2 + 3 + 3 + 3 + 1 + 1
    assert all(layer.synchronized for layer in norms)
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}
