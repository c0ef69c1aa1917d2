"""Tables in the dialects that programs and devices write."""

import numpy as np
import pandas as pd
import pytest

from ecg_lib.drawing.formats import open_file
from ecg_lib.errors import InputError

RATE = 250
SIGNALS = np.random.default_rng(0).normal(0, 0.3, (3, 300)).round(3)
NAMES = ("I", "II", "V2")
TIMES = np.arange(300) / RATE


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def rows(*columns, separator=",", end=""):
    """Lines of columns of numbers or words."""
    lines = (separator.join(map(str, row)) for row in zip(*columns, strict=True))
    return "".join(f"{line}{end}\n" for line in lines)


def read_one(path):
    (raw,) = open_file(path).values()
    return raw


BODY = rows(*SIGNALS)
COMMA = rows(*SIGNALS, separator=";").replace(".", ",")
PHYSIONET = "'Elapsed time','I','II','V2'\n'hh:mm:ss.mmm','mV','mV','mV'\n" + rows(
    [f"'0:{time:06.3f}'" for time in TIMES], *SIGNALS
)
VENDOR = (
    "Name,Somebody\nRecorded Date,2026-01-31 10:00:00 +0100\nSoftware Version,1.90\n"
    'Device,"Watch4,2"\nSample Rate,512 hertz\n\n\nLead,Lead I\nUnit,\xb5V\n\n'
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("I,II,V2\n" + BODY, "utf-8"),
        ("\ufeffI,II,V2\n" + BODY, "utf-8"),
        ("I,II,V2\n" + BODY, "utf-16"),
        ("I,II,V2\n" + BODY, "utf-16-le"),
        ("I,II,V2\r\n" + BODY.replace("\n", "\r\n"), "utf-8"),
        ("I\tII\tV2\n" + rows(*SIGNALS, separator="\t"), "utf-8"),
        ("I;II;V2\n" + COMMA, "utf-8"),
        ("I\tII\tV2\n" + COMMA.replace(";", "\t"), "utf-8"),
        ("sep=;\nI;II;V2\n" + COMMA, "utf-8"),
        ("I II V2\n" + rows(*SIGNALS, separator="   "), "utf-8"),
        ("I,II,V2,\n" + rows(*SIGNALS, end=","), "utf-8"),
        ("I,II,V2\n" + rows(*SIGNALS, end=","), "utf-8"),
        ("# exported\n% by something\nI,II,V2\n" + BODY, "utf-8"),
        ("# I,II,V2\n" + BODY, "utf-8"),
        ("ECG of 31 January 2026\n\nI,II,V2\n\n" + BODY, "utf-8"),
        ('"I","II","V2"\n' + BODY, "utf-8"),
        ('"I","II","V2"\n' + rows(range(1, 301), *SIGNALS), "utf-8"),
        (",I,II,V2\n" + rows(range(300), *SIGNALS), "utf-8"),
        ("Sample,I,II,V2\n" + rows(range(300), *SIGNALS), "utf-8"),
        ("I,II,V2\n" + rows(*SIGNALS, np.zeros(300)), "utf-8"),
        ("I,II,V2\n" + rows(*SIGNALS, TIMES), "utf-8"),
        ("I,II,V2\n" + rows(TIMES, *SIGNALS), "utf-8"),
        ("I,II,V2\n" + rows([f"row {n}" for n in range(300)], *SIGNALS), "utf-8"),
        (rows(NAMES, *SIGNALS.T), "utf-8"),
    ],
)  # fmt: skip
def test_dialects_of_the_same_table(tmp_path, text, encoding):
    raw = read_one(write(tmp_path / "a.csv", text, encoding))
    values = raw.values if len(raw.values) == 3 else raw.values.T
    np.testing.assert_array_equal(values, SIGNALS)
    assert raw.names == NAMES
    assert (raw.rate, raw.units) == (None, None)


@pytest.mark.parametrize(
    ("header", "units"),
    [
        ("I (mV),II (mV),V2 (uV)", ("mV", "mV", "uV")),
        ("I_mV,II_mV,V2_uV", ("mV", "mV", "uV")),
        ("I (mV),II,V2", ("mV", None, None)),
        ("mV,mV,uV\nI,II,V2", ("mV", "mV", "uV")),
        ("I,II,V2\nmV,mV,uV", ("mV", "mV", "uV")),
        ("I,II,V2\n[mV],[mV],[uV]", ("mV", "mV", "uV")),
        ("Unit: uV\nI,II,V2", ("uV", "uV", "uV")),
    ],
)
def test_units(tmp_path, header, units):
    raw = read_one(write(tmp_path / "a.csv", f"{header}\n{BODY}"))
    assert raw.units == units
    assert len(raw.names) == 3
    np.testing.assert_array_equal(raw.values.T, SIGNALS)


def test_latin_1_is_no_damage(tmp_path):
    raw = read_one(write(tmp_path / "a.csv", "I [\xb5V],II [\xb5V],V2 [\xb5V]\n" + BODY, "latin-1"))
    assert raw.units == ("\N{GREEK SMALL LETTER MU}V",) * 3


def test_the_head_of_a_watch(tmp_path):
    text = VENDOR + "".join(f"{value:.3f}\n" for value in SIGNALS[0])
    raw = read_one(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(np.ravel(raw.values), SIGNALS[0])
    assert (raw.rate, raw.units, raw.names) == (512, ("\xb5V",), ("Lead I",))


def test_the_head_of_a_watch_with_decimal_commas(tmp_path):
    text = VENDOR + "".join(f'"{value:.3f}"\n'.replace(".", ",") for value in SIGNALS[0])
    raw = read_one(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(np.ravel(raw.values), SIGNALS[0])


def test_a_single_column_with_decimal_commas(tmp_path):
    text = "II\n" + "".join(f"{value:.3f}\n".replace(".", ",") for value in SIGNALS[0])
    raw = read_one(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(np.ravel(raw.values), SIGNALS[0])


def test_the_export_of_physionet(tmp_path):
    raw = read_one(write(tmp_path / "samples.csv", PHYSIONET))
    np.testing.assert_array_equal(raw.values.T, SIGNALS)
    assert (raw.rate, raw.units, raw.names) == (RATE, ("mV",) * 3, NAMES)


@pytest.mark.parametrize("header", ["", "0,1,2\n", "1,2,3\n"])
def test_a_table_without_names(tmp_path, header):
    raw = read_one(write(tmp_path / "a.csv", header + BODY))
    np.testing.assert_array_equal(raw.values.T, SIGNALS)
    assert raw.names is None


def test_names_that_are_no_leads_are_kept(tmp_path):
    assert read_one(write(tmp_path / "a.csv", "a,b,c\n" + BODY)).names == ("a", "b", "c")


# --- Times ---


@pytest.mark.parametrize(
    ("name", "times", "rate"),
    [
        ("time", TIMES, RATE),
        ("Time (s)", TIMES + 1.7e9, RATE),
        ("time [ms]", TIMES * 1000, RATE),
        ("time_ms", TIMES * 1000, RATE),
        ("t_us", TIMES * 1e6, RATE),
        ("Time (min)", TIMES / 60, RATE),
        ("time (h)", TIMES / 3600, RATE),
        ("Time (days)", TIMES / 86400, RATE),
        ("time", 45000 + TIMES / 86400, RATE),
        ("time", TIMES.round(2), RATE),
        ("time", TIMES / 60, None),
        ("time", TIMES * 1000, None),
        ("time", np.arange(300), None),
        ("time", np.sort(np.random.default_rng(1).random(300)), None),
        ("time", [f"00:00:{time:06.3f}" for time in TIMES], RATE),
        ("date", [f"2026-01-31T12:00:{time:06.3f}+01:00" for time in TIMES], RATE),
        ("time", ["00:00:01"] * 300, None),
        ("time (s)", TIMES * 1e-6, None),
    ],
)
def test_rate_by_a_column_of_times(tmp_path, name, times, rate):
    columns = rows(times, SIGNALS[0])
    raw = read_one(write(tmp_path / "a.csv", f"{name},II\n{columns}"))
    assert raw.names == ("II",)
    assert raw.rate == pytest.approx(rate, rel=0.005) if rate else raw.rate is None


def test_times_without_a_name(tmp_path):
    raw = read_one(write(tmp_path / "a.csv", rows(TIMES, *SIGNALS)))
    np.testing.assert_array_equal(raw.values.T, SIGNALS)
    assert (raw.rate, raw.notes) == (RATE, ("times without a unit taken for seconds",))


def test_a_signal_that_is_called_like_a_unit_of_time_is_no_time(tmp_path):
    text = "timer,hr\n" + rows(TIMES, SIGNALS[0])
    raw = read_one(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(np.ravel(raw.values), SIGNALS[0])
    assert (raw.names, raw.rate) == (("hr",), RATE)


def test_a_gap_in_the_times_is_not_closed(tmp_path):
    times = np.where(np.arange(300) < 200, TIMES, TIMES + 30)
    raw = read_one(write(tmp_path / "a.csv", "time,II\n" + rows(times, SIGNALS[0])))
    np.testing.assert_array_equal(np.ravel(raw.values), SIGNALS[0, :200])
    assert (raw.rate, raw.notes[0]) == (RATE, "the longest of 2 stretches between gaps")


# --- Many recordings ---


@pytest.mark.parametrize("name", ["record", "filename", "ecg_id", "Patient"])
def test_a_column_that_names_the_recording(tmp_path, name):
    of_rows = ["b"] * 120 + ["a"] * 180
    path = write(tmp_path / "a.csv", f"II,{name}\n" + rows(SIGNALS[0], of_rows))
    found = {key: np.ravel(raw.values) for key, raw in open_file(path).items()}
    assert list(found) == ["_b", "_a"]
    np.testing.assert_array_equal(found["_a"], SIGNALS[0, 120:])


def test_times_that_begin_anew(tmp_path):
    times = np.tile(TIMES[:150], 2)
    path = write(tmp_path / "a.csv", "time,II\n" + rows(times, SIGNALS[0]))
    found = open_file(path)
    assert {key: (raw.rate, len(raw.values)) for key, raw in found.items()} == {
        "_0001": (RATE, 150),
        "_0002": (RATE, 150),
    }


@pytest.mark.parametrize("by_sample", [False, True])
def test_a_row_for_each_sample_of_each_lead(tmp_path, by_sample):
    table = pd.DataFrame(
        {
            "time": np.tile(TIMES, 3),
            "lead": np.repeat(NAMES, 300),
            "value (mV)": SIGNALS.ravel(),
        }
    )
    if by_sample:
        table = table.sort_values("time", kind="stable")
    table.to_csv(tmp_path / "a.csv", index=False)
    raw = read_one(tmp_path / "a.csv")
    np.testing.assert_array_equal(raw.values.T, SIGNALS)
    assert raw.names == ("I (mV)", "II (mV)", "V2 (mV)")
    assert (raw.rate, raw.units) == (RATE, ("mV",) * 3)


# --- What cannot be used ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("I,II\nmV,mV\n", "holds no numbers"),
        ("I,II\n1,2\n3\n4,5\n", "has 1 cells in line 3, expected 2"),
        ("I,II\n1,2\n3,4\n5,6,7\n", "has 3 cells in line 4, expected 2"),
        (
            "I,II,V2\n" + BODY[:-9],
            "in line 301, expected 3 as in the lines above it and is cut off",
        ),
        ("II,trial\n" + rows(SIGNALS[0], [1] * 150 + [2] * 150), "values in its column 'trial'"),
        ("I,II\n" + BODY, "has 2 names or units above 3 columns, and it is not clear"),
        ("I,II,V2,V3\n" + BODY, "has 4 names or units above 3 columns, and it is not clear"),
        ("\0" * 500, "is no text"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=f"^{path} .*{words}"):
        open_file(path)


def test_rows_of_a_great_many_cells(tmp_path):
    wide = np.tile(SIGNALS, 700)
    path = write(tmp_path / "a.csv", rows(NAMES, *wide.T))
    raw = read_one(path)
    np.testing.assert_array_equal(raw.values.T, wide)
    assert raw.names == NAMES


def test_words_among_the_numbers(tmp_path):
    text = "I,II\n" + "1,2\n" * 60 + "3,x\n" * 60
    (fault,) = open_file(write(tmp_path / "a.csv", text)).values()
    assert "a.csv has words in its column 'II', such as 'x': expected numbers" in str(fault)
