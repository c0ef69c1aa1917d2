"""Arrays, and the variables beside them that say something of them."""

import h5py
import numpy as np
import pytest
import scipy.io

from ecg_lib.drawing.formats import open_file
from ecg_lib.errors import InputError

SIGNALS = np.random.default_rng(0).normal(0, 0.3, (3, 80)).round(4)
COUNTS = (1000 * SIGNALS).round().astype(np.int16)
LEAD_II = SIGNALS[1]
TIMES = np.arange(80) / 250


def save(path, variables):
    """Write variables into an archive of either kind, as the path's suffix says."""
    if path.suffix == ".mat":
        scipy.io.savemat(path, variables)
    else:
        np.savez(path, **variables)
    return path


both_kinds = pytest.mark.parametrize("suffix", [".mat", ".npz"])


@pytest.mark.parametrize("shape", [(80, 3, 1), (1, 80, 3), (1, 80, 1, 3)])
def test_axes_of_length_one_do_not_count(tmp_path, shape):
    np.save(tmp_path / "a.npy", SIGNALS.T.reshape(shape))
    (raw,) = open_file(tmp_path / "a.npy").values()
    np.testing.assert_array_equal(raw.values, SIGNALS.T)


def test_the_first_of_three_axes_counts_recordings(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([SIGNALS, 2 * SIGNALS]))
    found = open_file(tmp_path / "a.npy")
    assert list(found) == ["_0001", "_0002"]
    np.testing.assert_array_equal(found["_0002"].values, 2 * SIGNALS)


def test_three_axes_without_one_for_time_are_one_fault(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((80, 12, 2)))
    assert list(open_file(tmp_path / "a.npy")) == [""]


def test_named_fields_are_variables(tmp_path):
    array = np.zeros(80, [("I", float), ("II", float), ("time", float)])
    array["I"], array["II"], array["time"] = SIGNALS[0], LEAD_II, TIMES
    np.save(tmp_path / "a.npy", array)
    (raw,) = open_file(tmp_path / "a.npy").values()
    np.testing.assert_array_equal(raw.values, SIGNALS[:2])
    assert (raw.names, raw.left_out, raw.rate) == (("I", "II"), ("time",), 250)


@both_kinds
def test_variables_beside_the_signals(tmp_path, suffix):
    variables = {"ecg": SIGNALS, "fs": 360, "units": "uV", "leads": ["I", "II ", "V1"]}
    (raw,) = open_file(save(tmp_path / f"a{suffix}", variables)).values()
    np.testing.assert_array_equal(raw.values, SIGNALS)
    assert (raw.rate, raw.units, raw.names) == (360, ("uV",), ("I", "II", "V1"))


@both_kinds
@pytest.mark.parametrize(
    ("variables", "rate"),
    [
        ({"fs": "500 Hz"}, 500),
        ({"sampling_rate": "0.5 kHz"}, 500),
        ({"dt": 0.002}, 500),
        ({"dt": 2.0}, 500),
        ({"t": TIMES}, 250),
        ({"time_ms": 1000 * TIMES}, 250),
        ({"heart_rate": 72}, None),
        ({"rpeaks": np.arange(0, 800, 10)}, None),
    ],
)
def test_rates(tmp_path, suffix, variables, rate):
    (raw,) = open_file(save(tmp_path / f"a{suffix}", {"ecg": SIGNALS} | variables)).values()
    assert raw.rate == pytest.approx(rate) if rate else raw.rate is None


@both_kinds
@pytest.mark.parametrize(
    "beside",
    [
        {"t": TIMES},
        {"r_peaks": np.random.default_rng(1).permutation(60)},
        {"whatever": np.arange(60) * 7},
        {"heart_rate": np.random.default_rng(1).normal(70, 3, 60)},
    ],
)
def test_vectors_of_something_else_are_no_recordings(tmp_path, suffix, beside):
    (raw,) = open_file(save(tmp_path / f"a{suffix}", {"ecg": LEAD_II} | beside)).values()
    np.testing.assert_array_equal(np.ravel(raw.values), LEAD_II)
    assert raw.left_out == tuple(beside)


@both_kinds
def test_a_variable_for_each_lead(tmp_path, suffix):
    variables = {"II": SIGNALS[0], "V1": SIGNALS[1], "fs": 250}
    (raw,) = open_file(save(tmp_path / f"a{suffix}", variables)).values()
    np.testing.assert_array_equal(raw.values, SIGNALS[:2])
    assert (raw.names, raw.rate) == (("II", "V1"), 250)


def test_a_matlab_struct_and_cells(tmp_path):
    cells = np.empty(2, object)
    cells[:] = [SIGNALS, SIGNALS[:, :60]]
    content = {"ECG": {"data": cells, "sex": "F", "age": 50, "Fs": 250.0}}
    found = open_file(save(tmp_path / "a.mat", content))
    assert [raw.values.shape for raw in found.values()] == [(3, 80), (3, 60)]
    assert {raw.rate for raw in found.values()} == {250}


def test_a_header_beside_the_signals(tmp_path):
    content = {"ecg": SIGNALS, "hdr": {"fs": 250.0, "units": "mV"}, "patient": {"age": 50}}
    (raw,) = open_file(save(tmp_path / "a.mat", content)).values()
    assert (raw.rate, raw.units) == (250, ("mV",))


def test_names_as_bytes(tmp_path):
    leads = np.array([b"I", b"II", b"V1"])
    (raw,) = open_file(save(tmp_path / "a.npz", {"ecg": SIGNALS, "leads": leads})).values()
    assert raw.names == ("I", "II", "V1")


def two_structs():
    return {"rec": [{"data": SIGNALS, "fs": 500.0}, {"data": 2 * SIGNALS, "fs": 250.0}]}


def two_cells_and_two_rates():
    cells = np.empty(2, object)
    cells[:] = [SIGNALS, 2 * SIGNALS]
    return {"data": cells, "fs": [500.0, 250.0]}


@pytest.mark.parametrize(
    "variables",
    [
        two_structs(),
        two_cells_and_two_rates(),
        {"ecg1": SIGNALS, "fs1": 500, "ecg2": 2 * SIGNALS, "fs2": 250},
        {"rest": SIGNALS, "rest_fs": 500, "stress": 2 * SIGNALS, "stress_fs": 250},
        {"ecg": np.stack([SIGNALS, 2 * SIGNALS]), "fs": [500, 250]},
    ],
)
def test_each_recording_has_its_own_rate(tmp_path, variables):
    found = open_file(save(tmp_path / "a.mat", variables)).values()
    assert [raw.rate for raw in found] == [500, 250]
    assert all(np.array_equal(raw.values, n * SIGNALS) for n, raw in enumerate(found, 1))


@both_kinds
def test_a_file_without_signals(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", {"rr": np.random.default_rng(1).random(80), "fs": 250})
    with pytest.raises(InputError, match="holds no signals, but rr, fs: expected arrays"):
        open_file(path)


@both_kinds
def test_counts_beside_a_gain_are_refused(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", {"val": COUNTS, "gain": 4.88, "units": "uV", "fs": 250})
    (fault,) = open_file(path).values()
    assert "a gain of 4.88 beside whole numbers" in str(fault)


@both_kinds
@pytest.mark.parametrize("variables", [{"val": COUNTS, "gain": 1.0}, {"val": SIGNALS, "gain": 200}])
def test_a_gain_that_changes_nothing_is_none(tmp_path, suffix, variables):
    assert len(open_file(save(tmp_path / f"a{suffix}", variables))) == 1


def test_matlab_7_3(tmp_path):
    def text(group, name, words):
        group[name] = np.array([[ord(letter)] for letter in words], np.uint16)
        group[name].attrs["MATLAB_class"] = np.bytes_("char")

    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        group = file.create_group("ECG")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        group["data"], group["fs"] = SIGNALS.T, [[250.0]]
        text(group, "units", "mV")
        for number, name in enumerate(("I", "II", "V1")):
            text(file, f"#refs#/{number}", name)
        references = [[file[f"#refs#/{number}"].ref] for number in range(3)]
        group.create_dataset("leads", data=references, dtype=h5py.ref_dtype)
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(header)
    (raw,) = open_file(tmp_path / "a.mat").values()
    np.testing.assert_array_equal(raw.values, SIGNALS)
    assert (raw.rate, raw.units, raw.names) == (250, ("mV",), ("I", "II", "V1"))


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("ecg_lib.drawing.formats.raw.MAX_NUMBERS", 100)
    with pytest.raises(InputError, match=r"claims to hold .* numbers: expected at most 100"):
        open_file(save(tmp_path / "a.npz", {"ecg": SIGNALS}))
