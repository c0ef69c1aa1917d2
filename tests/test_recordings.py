import os
import pickle
import shutil
import sys

import edfio
import numpy as np
import pandas as pd
import pytest
import scipy.io
import wfdb

from ecg_lib.drawing.recordings import Hints, find_recordings, read_recordings
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, simulate
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import LEADS

RATE = 250
SIGNALS = simulate("normal", np.random.default_rng(4), seconds=4, rate=RATE)
GIVEN = Hints(RATE, "mV", LEADS)


def write_wfdb(path, signals=SIGNALS, leads=LEADS, unit="mV"):
    leads = [lead.upper() for lead in leads]
    options = {"sig_name": leads, "units": [unit] * len(leads), "fmt": ["16"] * len(leads)}
    wfdb.wrsamp(path.stem, fs=RATE, p_signal=signals.T, write_dir=str(path.parent), **options)


def write_csv(path):
    table = pd.DataFrame(SIGNALS.T, columns=[f"{lead} (mV)" for lead in LEADS])
    table.insert(0, "time", np.arange(len(table)) / RATE)
    table.to_csv(path, index=False)


def write_tsv(path):
    np.savetxt(path, SIGNALS, delimiter="\t")


def write_npy(path):
    np.save(path, 1000 * SIGNALS.T)


def write_npz(path):
    np.savez(path, signals=SIGNALS, fs=RATE)


def write_mat(path):
    content = {"val": 1000 * SIGNALS, "fs": RATE, "units": "uV", "sig_name": list(LEADS)}
    scipy.io.savemat(path, content)


def write_edf(path):
    signals = [
        edfio.EdfSignal(signal, RATE, label=f"ECG {lead}", physical_dimension="mV")
        for signal, lead in zip(SIGNALS, LEADS, strict=True)
    ]
    resp = edfio.EdfSignal(np.zeros(100), 25, label="Resp", physical_range=(-1, 1))
    edfio.Edf([*signals, resp]).write(path)


@pytest.mark.parametrize(
    ("suffix", "write", "given", "sources", "left_out"),
    [
        ("hea", write_wfdb, None, ("file", "file", "file"), ()),
        ("csv", write_csv, None, ("file", "file", "file"), ()),
        ("tsv", write_tsv, Hints(RATE, "mV"), ("argument", "argument", "assumed"), ()),
        ("npy", write_npy, Hints(RATE, "uV", LEADS), ("argument", "argument", "argument"), ()),
        ("npz", write_npz, Hints(None, "mV"), ("file", "argument", "assumed"), ()),
        ("mat", write_mat, Hints(100, "V", LEADS), ("file", "file", "file"), ()),
        ("edf", write_edf, None, ("file", "file", "file"), ("Resp",)),
    ],
)
def test_every_kind_of_file_gives_the_same_recording(
    tmp_path, suffix, write, given, sources, left_out
):
    path = tmp_path / f"one.{suffix}"
    write(path)
    (recording,), faults = read_recordings(path, given)
    assert not faults
    assert recording.name == "one"
    assert recording.leads == LEADS
    assert recording.rate == RATE
    assert recording.seconds == 4
    assert tuple(recording.sources[name] for name in ("rate", "unit", "leads")) == sources
    assert recording.left_out == left_out
    np.testing.assert_allclose(recording.signals, SIGNALS, atol=1e-3)


@pytest.mark.parametrize(("package", "name"), [("wfdb", "x.hea"), ("edfio", "x.edf")])
def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch, package, name):
    (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, package, None)
    recordings, (fault,) = read_recordings(tmp_path / name)
    assert not recordings
    assert f"{name} cannot be read without the package {package}" in fault
    assert f'pip install "{package}' in fault


def test_a_dat_is_read_by_its_header(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    (recording,), _ = read_recordings(tmp_path / "one.dat")
    np.testing.assert_allclose(recording.signals, SIGNALS, atol=1e-3)


def test_eight_unnamed_leads_are_the_independent_ones(tmp_path):
    np.save(tmp_path / "eight.npy", SIGNALS[[LEADS.index(lead) for lead in INDEPENDENT_LEADS]])
    (recording,), _ = read_recordings(tmp_path / "eight.npy", Hints(RATE, "mV"))
    assert recording.leads == INDEPENDENT_LEADS
    assert recording.sources["leads"] == "assumed"


def test_a_single_lead_may_lie_in_a_flat_array(tmp_path):
    np.save(tmp_path / "single.npy", SIGNALS[1])
    (recording,), _ = read_recordings(tmp_path / "single.npy", Hints(RATE, "mV", ("ii",)))
    assert recording.leads == ("II",)
    assert recording.signals.shape == (1, 4 * RATE)


def test_units_may_differ_between_leads(tmp_path):
    mixed = SIGNALS[:2] * np.array([[1000], [1]])
    units = {"sig_name": ["I", "II"], "units": ["uV", "mV"], "fmt": ["24", "24"]}
    wfdb.wrsamp("mixed", fs=RATE, p_signal=mixed.T, write_dir=str(tmp_path), **units)
    (recording,), _ = read_recordings(tmp_path / "mixed.hea")
    np.testing.assert_allclose(recording.signals, SIGNALS[:2], atol=1e-5)
    assert recording.unit == "uV, mV"


def test_one_bad_recording_does_not_keep_the_others_away(tmp_path):
    bad = SIGNALS.copy()
    bad[3, 5] = np.nan
    np.savez(tmp_path / "many.npz", first=SIGNALS, second=bad, third=SIGNALS)
    recordings, (fault,) = read_recordings(tmp_path / "many.npz", GIVEN)
    assert [recording.name for recording in recordings] == ["many_first", "many_third"]
    assert fault.startswith(f"{tmp_path / 'many.npz'}, recording second, has 1 samples of lead aVR")


def test_names_inside_a_file_cannot_leave_the_folder(tmp_path):
    np.savez(tmp_path / "a.npz", **{"../../up": SIGNALS, "b": SIGNALS})
    recordings, _ = read_recordings(tmp_path / "a.npz", GIVEN)
    assert [recording.name for recording in recordings] == ["a_.._.._up", "a_b"]


# --- Bad input: one sentence that names the file ---


def with_lead(row, values):
    signals = SIGNALS.copy()
    signals[row] = values
    return signals


@pytest.mark.parametrize(
    ("array", "given", "words"),
    [
        (np.full((12, 1000), np.nan), GIVEN, "12 x 1,000 numbers, none of which is a number"),
        (with_lead(0, np.inf), GIVEN, "lead I that are no numbers"),
        (with_lead(6, 0.25), GIVEN, "flat lead V1: all its samples are 0.25 mV"),
        (SIGNALS[:5], GIVEN._replace(leads=None), "5 x 1,000 numbers and does not name the leads"),
        (SIGNALS[:5], GIVEN, "the argument names 12 leads"),
        (SIGNALS, GIVEN._replace(leads=("II",) * 12), "lead II more than once"),
        (SIGNALS, GIVEN._replace(rate=None), "no sampling rate"),
        (SIGNALS, GIVEN._replace(unit=None), "no unit: expected mV, uV, V"),
        (1000 * SIGNALS, GIVEN, "if its unit is mV: expected 0.02 to 20 mV"),
        (SIGNALS / 1000, GIVEN, "if its unit is mV: expected 0.02 to 20 mV"),
        (SIGNALS * 1e300, GIVEN, "has numbers up to"),
        (SIGNALS + 1j, GIVEN, "type complex128"),
        (np.zeros((0, 12)), GIVEN, "shape (0, 12)"),
        (np.array([{}, []], object), GIVEN, "holds a pickle"),
        (np.full((12, 1000), "a"), GIVEN, "expected numbers"),
    ],
)
def test_bad_arrays(tmp_path, array, given, words):
    np.save(tmp_path / "bad.npy", array, allow_pickle=True)
    recordings, (fault,) = read_recordings(tmp_path / "bad.npy", given)
    assert not recordings
    assert fault.startswith(str(tmp_path / "bad.npy"))
    assert words in fault


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    (tmp_path / "bomb.npy").write_bytes(pickle.dumps(Bomb()))
    np.savez(tmp_path / "bomb.npz", a=np.array([Bomb()], object))
    for name in ("bomb.npy", "bomb.npz"):
        _, (fault,) = read_recordings(tmp_path / name, GIVEN)
        assert "holds a pickle" in fault


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
@pytest.mark.parametrize(
    ("cut", "write"),
    [
        ("one.dat", write_wfdb),
        ("one.npy", write_npy),
        ("one.npz", write_npz),
        ("one.mat", write_mat),
        ("one.edf", write_edf),
    ],
)
def test_truncated_files(tmp_path, cut, write, share):
    path = tmp_path / cut
    write(path.with_suffix(".hea") if path.suffix == ".dat" else path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    recordings, (fault,) = read_recordings(path, GIVEN)
    assert not recordings
    assert str(path) in fault and "\n" not in fault


def test_a_table_cut_within_a_row(tmp_path):
    write_csv(tmp_path / "one.csv")
    text = (tmp_path / "one.csv").read_text(encoding="utf-8")
    (tmp_path / "one.csv").write_text(text[: len(text) // 2], encoding="utf-8")
    assert read_recordings(tmp_path / "one.csv")[1]


def test_samples_that_disagree_with_their_header(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    samples = bytearray((tmp_path / "one.dat").read_bytes())
    samples[1000] ^= 1
    (tmp_path / "one.dat").write_bytes(samples)
    _, (fault,) = read_recordings(tmp_path / "one.hea")
    assert "one.hea disagrees with its samples, whose checksum is" in fault


def test_a_header_without_its_samples(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    (tmp_path / "one.dat").rename(tmp_path / "two.dat")
    for name in ("one.hea", "two.dat"):
        _, (fault,) = read_recordings(tmp_path / name)
        assert str(tmp_path / name) in fault


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "name,age\nx,3\ny,4\n", "words in its column 'name'"),
        ("a.csv", "I,II\n1,2\n3\n4,5,6\n", "has 1 cells in line 3"),
        ("a.hea", "nonsense", "is no WFDB header"),
        ("a.mat", "nonsense" * 40, "cannot be read"),
        ("a.edf", "nonsense" * 40, "has no EDF header"),
        ("a.txt", "1 2 3", "is no recording: expected one of .hea"),
        ("a.hea", "a/2 2 500 1000\nb 500\nc 500\n", "names b.hea, which is not there"),
    ],
)
def test_bad_text(tmp_path, name, text, words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    recordings, (fault,) = read_recordings(tmp_path / name, GIVEN)
    assert not recordings
    assert fault.startswith(str(tmp_path / name))
    assert words in fault


def test_an_unknown_unit_in_the_file(tmp_path):
    write_wfdb(tmp_path / "one.hea", unit="mmHg")
    _, (fault,) = read_recordings(tmp_path / "one.hea")
    assert "unit 'mmHg': expected mV, uV, V" in fault


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        (Hints(rate=0), "rate is 0"),
        (Hints(rate=float("nan")), "rate is nan"),
        (Hints(rate=float("inf")), "rate is inf"),
        (Hints(rate=-500), "rate is -500"),
        (Hints(rate=1e-5), "rate is 1e-05: expected samples per second, 50 to 20,000"),
        (Hints(rate=1e9), r"rate is 1e\+09"),
        (Hints(unit="kV"), "unknown unit 'kV'"),
        (Hints(leads=("I", "V9")), "unknown lead 'V9'"),
    ],
)
def test_arguments_that_are_no_use(tmp_path, hints, words):
    with pytest.raises(InputError, match=words):
        read_recordings(tmp_path / "any.npy", hints)


@pytest.mark.parametrize("rate", [-500, 0, 0.001, 1e9, np.nan, np.inf])
def test_a_rate_in_the_file_that_no_ecg_has(tmp_path, rate):
    np.savez(tmp_path / "a.npz", ecg=SIGNALS, fs=rate)
    _, (fault,) = read_recordings(tmp_path / "a.npz", GIVEN)
    assert f"says that its rate is {rate:g}: expected samples per second, 50 to" in fault


# --- What is not assumed ---


def test_names_that_are_not_understood_are_no_missing_names(tmp_path):
    np.savez(tmp_path / "a.npz", ecg=SIGNALS, leads=[f"channel {n}" for n in range(12)])
    _, (fault,) = read_recordings(tmp_path / "a.npz", GIVEN._replace(leads=None))
    assert "names its leads 'channel 0', 'channel 1'," in fault
    (recording,), _ = read_recordings(tmp_path / "a.npz", GIVEN)
    assert recording.sources["leads"] == "argument"


def test_the_usual_order_is_not_assumed_against_the_signals(tmp_path):
    np.save(tmp_path / "a.npy", SIGNALS[[0, 1, *range(6, 12), 2, 3, 4, 5]])
    _, (fault,) = read_recordings(tmp_path / "a.npy", GIVEN._replace(leads=None))
    assert "does not name its leads, and they are not in the order I, II, III" in fault


def test_a_lead_that_was_recorded_turned_over(tmp_path):
    names = ["I", "II", "-aVR"]
    np.savez(tmp_path / "a.npz", ecg=SIGNALS[[0, 1, 3]] * [[1], [1], [-1]], leads=names)
    (recording,), _ = read_recordings(tmp_path / "a.npz", GIVEN)
    np.testing.assert_array_equal(recording.signals[2], SIGNALS[3])
    assert recording.leads == ("I", "II", "aVR")
    assert recording.notes == ("aVR turned over",)


def test_some_units_in_the_file(tmp_path):
    table = pd.DataFrame({"I (mV)": SIGNALS[0], "II": 1000 * SIGNALS[1]})
    table.to_csv(tmp_path / "a.csv", index=False)
    (recording,), _ = read_recordings(tmp_path / "a.csv", Hints(RATE, "uV"))
    np.testing.assert_allclose(recording.signals, SIGNALS[:2])
    assert (recording.unit, recording.sources["unit"]) == ("mV, uV", "file and argument")
    _, (fault,) = read_recordings(tmp_path / "a.csv", Hints(RATE))
    assert "has a unit for only some leads: expected mV, uV, V, nV as --unit" in fault


def test_a_unit_that_a_format_lays_down_is_said_to_be_assumed(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    header = (tmp_path / "one.hea").read_text(encoding="utf-8")
    (tmp_path / "one.hea").write_text(header.replace("/mV", ""), encoding="utf-8")
    (recording,), _ = read_recordings(tmp_path / "one.hea")
    assert (recording.unit, recording.sources["unit"]) == ("mV", "assumed")


def test_a_recording_shorter_than_a_beat(tmp_path):
    np.save(tmp_path / "a.npy", SIGNALS[:, :200])
    _, (fault,) = read_recordings(tmp_path / "a.npy", GIVEN)
    assert "is 0.8 s long at 250 Hz: expected at least 1 s, about one beat" in fault


def test_a_table_with_fewer_samples_than_leads(tmp_path):
    (tmp_path / "a.csv").write_text("I,II,V1\n1,2,3\n3,4,5\n", encoding="utf-8")
    _, (fault,) = read_recordings(tmp_path / "a.csv", GIVEN)
    assert "is 0.008 s long at 250 Hz" in fault


def test_words_in_one_recording_do_not_keep_the_others_away(tmp_path):
    table = pd.DataFrame({"II": SIGNALS[1].astype(object), "record": ["a"] * 500 + ["b"] * 500})
    table.loc[700, "II"] = "lost"
    table.to_csv(tmp_path / "a.csv", index=False)
    (recording,), (fault,) = read_recordings(tmp_path / "a.csv", GIVEN)
    assert recording.name == "a_a"
    np.testing.assert_allclose(recording.signals[0], SIGNALS[1, :500])
    assert "has words in its column 'II', such as 'lost'" in fault


def test_a_gain_beside_one_recording_does_not_keep_the_others_away(tmp_path):
    content = {"one": {"val": (1000 * SIGNALS).round(), "gain": 4.88}, "two": {"val": SIGNALS}}
    scipy.io.savemat(tmp_path / "a.mat", content)
    (recording,), (fault,) = read_recordings(tmp_path / "a.mat", GIVEN)
    assert recording.name == "a_two.val"
    assert "a gain of 4.88 beside whole numbers" in fault


def test_leads_may_begin_late_and_end_early_but_have_no_holes(tmp_path):
    digitised = SIGNALS.copy()
    digitised[:3, 300:] = np.nan
    digitised[3:, :300] = np.nan
    np.save(tmp_path / "a.npy", digitised)
    (recording,), _ = read_recordings(tmp_path / "a.npy", GIVEN)
    np.testing.assert_array_equal(recording.signals, digitised)


def test_a_lead_without_samples_is_left_out(tmp_path):
    np.save(tmp_path / "a.npy", with_lead(11, np.nan))
    (recording,), _ = read_recordings(tmp_path / "a.npy", GIVEN)
    assert recording.leads == LEADS[:11]
    assert recording.notes == ("V6 without samples",)


def test_names_that_become_the_same_are_told_apart(tmp_path):
    np.savez(tmp_path / "a.npz", **{"ecg 1": SIGNALS, "ecg_1": SIGNALS, "ECG_1": SIGNALS})
    recordings, _ = read_recordings(tmp_path / "a.npz", GIVEN)
    assert [one.name for one in recordings] == ["a_ecg_1", "a_ecg_1-2", "a_ECG_1-3"]


# --- Which files ---


def test_find_recordings(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    (tmp_path / "deep").mkdir()
    write_npy(tmp_path / "deep" / "two.npy")
    for name in (".hidden.npy", "notes.md", "alone.dat"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_recordings(tmp_path)]
    assert found == ["alone.dat", "deep/two.npy", "one.hea"]
    assert find_recordings(tmp_path / "notes.md") == [tmp_path / "notes.md"]


def test_a_matlab_file_with_a_header_is_one_recording(tmp_path):
    write_wfdb(tmp_path / "one.hea")
    header = (tmp_path / "one.hea").read_text(encoding="utf-8").replace("one.dat", "one.mat")
    (tmp_path / "one.hea").write_text(header, encoding="utf-8")
    shutil.move(tmp_path / "one.dat", tmp_path / "one.mat")
    assert find_recordings(tmp_path) == [tmp_path / "one.hea"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_nothing_to_read(tmp_path, name):
    with pytest.raises(InputError, match="expected"):
        find_recordings(tmp_path / name)


@pytest.mark.parametrize(
    ("pipe", "read"),
    [("a.npy", "a.npy"), ("a.hea", "a.hea"), ("a.dat", "a.hea"), ("a.dat", "a.dat")],
)
def test_a_pipe_is_refused_and_not_read(tmp_path, pipe, read):
    write_wfdb(tmp_path / "a.hea")
    (tmp_path / pipe).unlink(missing_ok=True)
    os.mkfifo(tmp_path / pipe)
    assert find_recordings(tmp_path)
    _, (fault,) = read_recordings(tmp_path / read)
    assert f"{tmp_path / pipe} is no regular file: expected a file, not a pipe" in fault


def test_a_link_to_nothing(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "gone.npy")
    _, (fault,) = read_recordings(*find_recordings(tmp_path))
    assert "a.npy cannot be read: No such file" in fault
