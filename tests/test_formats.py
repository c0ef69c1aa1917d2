"""What each kind of file is opened as; `test_recordings.py` says what is made of it."""

import numpy as np
import pytest
import scipy.io

from ecg_lib.drawing.formats import lead_name, open_file

SIGNALS = np.random.default_rng(0).normal(0, 0.3, (3, 80)).round(4)


def write_table(path, columns, separator=","):
    """Write a dict of columns; those without a name get none."""
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("aVR", "aVR"),
        ("AVR", "aVR"),
        ("ECG aVF", "aVF"),
        ("Lead II (mV)", "II"),
        ("ecg_lead_v6", "V6"),
        ("DIII", "III"),
        ("V1[uV]", "V1"),
        ("V7", None),
        ("MLII", None),
        ("resp", None),
        ("", None),
    ],
)
def test_lead_names_as_files_spell_them(text, lead):
    assert lead_name(text) == lead


def test_a_table_with_times_names_and_units(tmp_path):
    columns = {"time": np.arange(80) / 250, "II (uV)": SIGNALS[0], "V2 (uV)": SIGNALS[1]}
    path = write_table(tmp_path / "a.csv", columns | {"resp": SIGNALS[2]})
    found = open_file(path)[""]
    np.testing.assert_array_equal(found.values.T, SIGNALS[:2])
    assert found.names == ("II (uV)", "V2 (uV)")
    assert found.units == ("uV", "uV")
    assert found.rate == 250
    assert found.left_out == ("resp",)


@pytest.mark.parametrize(
    ("name", "times", "rate"),
    [
        ("time [ms]", np.arange(80) * 2, 500),
        ("t", (np.arange(80) / 360).round(3), 360),
        ("time", np.arange(80), None),
        ("time", np.sort(np.random.default_rng(1).random(80)), None),
        ("time", ["00:00:01"] * 80, None),
    ],
)
def test_rate_by_a_column_of_times(tmp_path, name, times, rate):
    path = write_table(tmp_path / "a.csv", {name: times, "II": SIGNALS[0]})
    found = open_file(path)[""]
    assert found.values.shape == (80, 1)
    assert found.rate == pytest.approx(rate, rel=0.005) if rate else found.rate is None


@pytest.mark.parametrize("header", ["", "0,1,2\n", "a,b,c\n"])
def test_a_table_without_lead_names(tmp_path, header):
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write(header)
        np.savetxt(file, SIGNALS.T, delimiter=",")
    found = open_file(path)[""]
    np.testing.assert_allclose(found.values, SIGNALS.T)
    assert found.names is None


def test_a_table_with_an_index_as_pandas_writes_it(tmp_path):
    columns = {"": range(80), "0": SIGNALS[0], "1": SIGNALS[1]}
    found = open_file(write_table(tmp_path / "a.csv", columns))[""]
    np.testing.assert_array_equal(found.values.T, SIGNALS[:2])


def test_a_table_with_a_row_a_lead(tmp_path):
    path = tmp_path / "a.tsv"
    rows = zip(("I", "II", "V1"), SIGNALS, strict=True)
    lines = ["\t".join([name, *map(str, row)]) for name, row in rows]
    path.write_text("\n".join(lines))
    found = open_file(path)[""]
    assert found.names == ("I", "II", "V1")
    np.testing.assert_array_equal(found.values.T, SIGNALS)


def test_a_table_of_many_recordings(tmp_path):
    columns = {"record": ["b"] * 30 + ["a"] * 50, "II": SIGNALS[0]}
    found = open_file(write_table(tmp_path / "a.csv", columns, ";"))
    assert {key: len(item.values) for key, item in found.items()} == {"_b": 30, "_a": 50}


def test_the_first_of_three_axes_counts_recordings(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([SIGNALS, 2 * SIGNALS]))
    found = open_file(tmp_path / "a.npy")
    assert list(found) == ["_0001", "_0002"]
    np.testing.assert_array_equal(found["_0002"].values, 2 * SIGNALS)


def test_variables_beside_the_signals(tmp_path):
    np.savez(tmp_path / "a.npz", ecg=SIGNALS, fs=360, units="uV", leads=["I", "II", "V1"])
    (found,) = open_file(tmp_path / "a.npz").values()
    np.testing.assert_array_equal(found.values, SIGNALS)
    assert (found.rate, found.units, found.names) == (360, ("uV",), ("I", "II", "V1"))


def test_a_matlab_struct_and_cells(tmp_path):
    cells = np.empty(2, object)
    cells[:] = [SIGNALS, SIGNALS[:, :60]]
    content = {"ECG": {"data": cells, "sex": "F", "age": 50, "Fs": 250.0}}
    scipy.io.savemat(tmp_path / "a.mat", content)
    found = open_file(tmp_path / "a.mat")
    assert [item.values.shape for item in found.values()] == [(3, 80), (3, 60)]
    assert {item.rate for item in found.values()} == {250}
    assert len(set(found)) == 2
