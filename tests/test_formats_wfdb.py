"""WFDB records as their specification allows them, and as public databases write them."""

import numpy as np
import pytest
import wfdb

from ecg_lib.drawing.formats import open_file
from ecg_lib.drawing.formats.wfdb import record_files
from ecg_lib.errors import InputError

RATE = 250
COUNTS = np.random.default_rng(0).integers(-900, 900, (3, 500)).astype(np.int16)
NAMES = ("I", "II", "V1")


def checksums(counts):
    return [int(total) for total in counts.sum(axis=1, dtype=np.int16)]  # signed, of 16 bits


def write(folder, lines, counts=COUNTS, name="r", first=None):
    """Write a record, its samples interleaved; `lines` come after the file's name."""
    counts.T.astype("<i2").tofile(folder / f"{name}.dat")
    first = first or f"{name} {len(lines)} {RATE} {counts.shape[1]}"
    header = "\n".join([first, *(f"{name}.dat {line}" for line in lines)]) + "\n"
    (folder / f"{name}.hea").write_bytes(header.encode("latin-1"))
    return folder / f"{name}.hea"


def lines(gain="1000/mV", form="16", sums=None, names=NAMES):
    sums = checksums(COUNTS) if sums is None else sums
    return [f"{form} {gain} 16 0 0 {s} 0 {name}" for s, name in zip(sums, names, strict=True)]


def read_one(path):
    (raw,) = open_file(path).values()
    return raw


@pytest.mark.parametrize("add", [0, 65536])
def test_checksums_count_modulo_65536(tmp_path, add):
    raw = read_one(write(tmp_path, lines(sums=[s + add for s in checksums(COUNTS)])))
    np.testing.assert_array_equal(raw.values, COUNTS / 1000)
    assert (raw.rate, raw.units, raw.names) == (RATE, ("mV",) * 3, NAMES)


def test_checksums_that_nobody_counted(tmp_path):
    assert read_one(write(tmp_path, lines(sums=[0, 0, 0]))).values.shape == (3, 500)


def test_samples_that_disagree_with_their_header(tmp_path):
    path = write(tmp_path, lines(), COUNTS + np.int16([[0], [1], [0]]))
    with pytest.raises(InputError, match="disagrees with its samples, whose checksum is"):
        open_file(path)


@pytest.mark.parametrize("gain", ["0", "0(0)/mV", "0.0/uV", ""])
def test_without_a_gain_the_numbers_are_counts(tmp_path, gain):
    form = [f"16 {gain}".strip() + f" 16 0 0 {s} 0 II" for s in checksums(COUNTS[:1])]
    raw = read_one(write(tmp_path, form if gain else ["16"], COUNTS[:1]))
    np.testing.assert_array_equal(raw.values, COUNTS[:1])
    assert (raw.units, raw.default_unit) == ((None,), None)
    assert raw.notes == ("the header gives no gain, so the numbers are counts",)


def test_a_gain_without_a_unit_is_per_mv_by_the_specification(tmp_path):
    raw = read_one(write(tmp_path, lines("200(0)")))
    assert (raw.units, raw.default_unit) == ((None,) * 3, "mV")
    np.testing.assert_array_equal(raw.values, COUNTS / 200)


def test_a_header_without_a_rate(tmp_path):
    assert read_one(write(tmp_path, lines(), first="r 3")).rate is None


@pytest.mark.parametrize("unit", ["uV", "\xb5V"])
def test_a_micro_sign(tmp_path, unit):
    assert read_one(write(tmp_path, lines(f"1/{unit}"))).units == ("uV",) * 3


def test_several_samples_per_frame_keep_their_rate(tmp_path):
    slow = np.arange(100, dtype=np.int16)
    fast = COUNTS[:2].reshape(2, 100, 5)
    frames = np.concatenate([fast[0], fast[1], slow[:, np.newaxis]], axis=1)
    forms = [
        "16x5 1000/mV 16 0 0 {} 0 I",
        "16x5 1000/mV 16 0 0 {} 0 II",
        "16 1/NU 16 0 0 {} 0 RESP",
    ]
    sums = [*checksums(COUNTS[:2]), int(slow.sum())]
    forms = [form.format(total) for form, total in zip(forms, sums, strict=True)]
    raw = read_one(write(tmp_path, forms, frames.reshape(1, -1), first="r 3 50 100"))
    np.testing.assert_array_equal(raw.values, COUNTS[:2] / 1000)
    assert (raw.rate, raw.left_out) == (250, ("RESP",))


def test_skewed_signals_are_aligned(tmp_path):
    late = COUNTS.copy()
    late[2] = np.roll(COUNTS[2], 7)
    forms = lines()
    forms[2] = forms[2].replace("16 ", "16:7 ", 1)
    raw = read_one(write(tmp_path, forms, late))
    np.testing.assert_array_equal(raw.values, COUNTS[:, :-7] / 1000)
    assert raw.notes == ("aligned by skews of up to 7 frames",)


@pytest.mark.parametrize("suffix", [".HEA", ".DAT"])
def test_suffixes_in_upper_case(tmp_path, suffix):
    header = write(tmp_path, lines())
    (tmp_path / "r.dat").rename(tmp_path / "R.DAT")
    header.rename(tmp_path / "R.HEA")
    np.testing.assert_array_equal(read_one(tmp_path / f"R{suffix}").values, COUNTS / 1000)
    assert record_files(tmp_path / "R.HEA") == {tmp_path / "R.DAT"}


def test_segments_are_joined(tmp_path):
    write(tmp_path, lines(sums=checksums(COUNTS[:, :200])), COUNTS[:, :200], "a")
    write(tmp_path, lines(sums=checksums(COUNTS[:, 200:])), COUNTS[:, 200:], "b")
    (tmp_path / "r.hea").write_text("r/2 3 250 500\na 200\nb 300\n", encoding="utf-8")
    raw = read_one(tmp_path / "r.hea")
    np.testing.assert_array_equal(raw.values, COUNTS / 1000)
    assert raw.notes == ("2 segments joined",)
    names = {path.name for path in record_files(tmp_path / "r.hea")}
    assert names == {"a.hea", "a.dat", "b.hea", "b.dat"}


def test_a_gap_between_segments_is_not_closed(tmp_path):
    write(tmp_path, lines(sums=checksums(COUNTS[:, :200])), COUNTS[:, :200], "a")
    write(tmp_path, lines(sums=checksums(COUNTS[:, 200:])), COUNTS[:, 200:], "b")
    write(tmp_path, ["0 1000/mV 16 0 0 0 0 I"] * 3, COUNTS[:, :0], "r_layout")
    (tmp_path / "r.hea").write_text(
        "r/4 3 250 700\nr_layout 0\na 200\n~ 200\nb 300\n", encoding="utf-8"
    )
    raw = read_one(tmp_path / "r.hea")
    np.testing.assert_array_equal(raw.values, COUNTS[:, 200:] / 1000)
    assert "the longest of 2 stretches" in raw.notes[-1]


def test_missing_samples_are_no_numbers(tmp_path):
    counts = COUNTS.copy()
    counts[1, 4] = -32768
    raw = read_one(write(tmp_path, lines(sums=checksums(counts)), counts))
    assert np.argwhere(np.isnan(raw.values)).tolist() == [[1, 4]]


@pytest.mark.parametrize("form", ["80", "212", "24", "32"])
def test_other_formats_of_samples(tmp_path, form):
    counts = (COUNTS // 10).astype(int)
    wfdb.wrsamp(
        "r", RATE, ["mV"] * 3, list(NAMES), d_signal=counts.T, fmt=[form] * 3,
        adc_gain=[1000.0] * 3, baseline=[0] * 3, write_dir=str(tmp_path),
    )  # fmt: skip
    np.testing.assert_array_equal(read_one(tmp_path / "r.hea").values, counts / 1000)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "is no WFDB header"),
        ("nonsense", "is no WFDB header"),
        ("r 2 250 500\nr.dat 16 1000/mV 16 0 0 0 0 I\n", "promises 2 signals and describes 1"),
        ("r 1 250 500\n../r.dat 16 1000/mV 16 0 0 0 0 I\n", "which is not in its folder"),
        ("r 1 250 500\nx.dat 16 1000/mV 16 0 0 0 0 I\n", "r.hea names x.dat, which is not there"),
        (
            "r 1 250 5000\nr.dat 16 1000/mV 16 0 0 0 0 I\n",
            "r.dat is cut off: r.hea promises 10,000 bytes",
        ),
        ("r 1 250 900000000000\nr.dat 16 1000/mV 16 0 0 0 0 I\n", "900,000,000,000 numbers"),
        ("r/1 1 250 500\nr 500\n", "joins r, which joins records itself"),
        ("r/1 1 250 500\nr many\n", "is no segment"),
        ("r/1 1 250 500\nb 500\n", "names b.hea, which is not there"),
    ],
)
def test_bad_headers(tmp_path, header, words):
    write(tmp_path, lines())
    (tmp_path / "r.hea").write_text(header, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        open_file(tmp_path / "r.hea")
