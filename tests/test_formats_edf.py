"""EDF files, and EDF+ files with gaps."""

import edfio
import numpy as np
import pytest

from ecg_lib.drawing.formats import open_file
from ecg_lib.errors import InputError

RATE = 250
SIGNALS = np.random.default_rng(0).normal(0, 0.3, (2, 4 * RATE))


def write(path, labels=("ECG I", "ECG II"), unit="mV", discontinuous=False):
    signals = [
        edfio.EdfSignal(signal, RATE, label=label, physical_dimension=unit)
        for signal, label in zip(SIGNALS, labels, strict=True)
    ]
    notes = [edfio.EdfAnnotation(0, None, "start")] if discontinuous else None
    edfio.Edf(signals, annotations=notes, data_record_duration=1).write(path)
    return path


def patch(path, old, new):
    """Replace bytes of a file by others, as many times as they are there."""
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


def read_one(path):
    (raw,) = open_file(path).values()
    return raw


def with_gap(path):
    """Three seconds, a gap of 30 s, and one more."""
    write(path, discontinuous=True)
    patch(path, b"EDF+C", b"EDF+D")
    return patch(path, b"+3\x14\x14\x00\x00", b"+33\x14\x14\x00")


def test_labels_and_units(tmp_path):
    raw = read_one(write(tmp_path / "a.edf", ("ECG V1-Ref", "Resp")))
    np.testing.assert_allclose(raw.values, SIGNALS[:1], atol=1e-4)
    assert (raw.rate, raw.units, raw.names) == (RATE, ("mV",), ("ECG V1-Ref",))
    assert raw.left_out == ("Resp",)


@pytest.mark.parametrize("unit", [b"uV ", b"\xb5V ", "\xb5V".encode()])
def test_a_micro_sign_in_any_encoding(tmp_path, unit):
    path = patch(write(tmp_path / "a.edf", unit="qqq"), b"qqq", unit)
    assert read_one(path).units in (("uV",) * 2, ("\xb5V",) * 2)


def test_a_blank_unit_is_none(tmp_path):
    assert read_one(write(tmp_path / "a.edf", unit="")).units == (None, None)


def test_signals_without_a_range_are_counts(tmp_path):
    path = write(tmp_path / "a.edf")
    header = bytearray(path.read_bytes())
    header[256 + 2 * 104 : 256 + 2 * 120] = b"0".ljust(8) * 4  # both physical ranges
    path.write_bytes(header)
    assert read_one(path).units == (None, None)


def test_a_gap_is_not_closed(tmp_path):
    raw = read_one(with_gap(tmp_path / "a.edf"))
    np.testing.assert_allclose(raw.values, SIGNALS[:, : 3 * RATE], atol=1e-4)
    assert raw.notes == ("3 s from 0 s used, between gaps in the recording",)


def test_edf_d_without_a_gap_is_whole(tmp_path):
    path = patch(write(tmp_path / "a.edf", discontinuous=True), b"EDF+C", b"EDF+D")
    assert (read_one(path).values.shape, read_one(path).notes) == ((2, 1000), ())


def test_an_open_number_of_records_is_no_damage(tmp_path):
    path = write(tmp_path / "a.edf")
    header = bytearray(path.read_bytes())
    header[236:244] = b"-1".ljust(8)
    path.write_bytes(header)
    assert read_one(path).values.shape == (2, 1000)


def test_a_file_that_is_cut_off(tmp_path):
    path = write(tmp_path / "a.edf")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="is cut off: its header promises 4,768 bytes"):
        open_file(path)


@pytest.mark.parametrize("place", [252, 184, 236, 256 + 2 * 104, 256 + 2 * 216])
def test_a_field_that_is_no_number(tmp_path, place):
    path = write(tmp_path / "a.edf")
    header = bytearray(path.read_bytes())
    header[place : place + 4] = b"?x%y"
    path.write_bytes(header)
    with pytest.raises(InputError, match="EDF"):
        open_file(path)


def test_leads_at_two_rates(tmp_path):
    slow = edfio.EdfSignal(SIGNALS[1, ::2], RATE / 2, label="II", physical_dimension="mV")
    fast = edfio.EdfSignal(SIGNALS[0], RATE, label="I", physical_dimension="mV")
    edfio.Edf([fast, slow]).write(tmp_path / "a.edf")
    with pytest.raises(InputError, match=r"rates of \[125.0, 250.0\] Hz"):
        open_file(tmp_path / "a.edf")
