"""Recordings of others that were once read wrongly, through the commands."""

from typing import NamedTuple

import numpy as np
import pytest

from ecg_lib import cli
from ecg_lib.drawing.recordings import Hints, read_recordings

pytestmark = pytest.mark.real

KNOWN = ("--rate", "250", "--unit", "mV")


class Case(NamedTuple):
    """A file that is read, and what a line about it must say.

    Attributes:
        path: below the folder of cases.
        hints: options of the command.
        says: parts of the line.
        leads: how many it has.
    """

    path: str
    hints: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    leads: int = 12


READ = (
    Case("01_wfdb_signed_checksum/r01.hea", (), ("250 Hz (file)", "mV (file)")),
    Case("03_wfdb_samples_per_frame/r03.hea", (), ("250 Hz (file)", "not used: RESP"), 8),
    Case("04_wfdb_skew/r04.hea", (), ("aligned by skews of up to 10 frames",)),
    Case("06_mat_time_vector/lead2.mat", ("--leads", "II"), ("not used: t", "II (argument)"), 1),
    Case("09_csv_names_with_unit/r09.csv", KNOWN, ("I II V1 V2 V3 V4 V5 V6 III aVR",)),
    Case("10_csv_minus_avr/r10.csv", KNOWN, ("aVR turned over",)),
    Case("12_csv_d1_d2_d3/r12.csv", KNOWN, ("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 (file)",)),
    Case("14_csv_minutes/r14.csv", ("--unit", "mV"), ("250 Hz (file)",)),
    Case("17_csv_some_units/r17.csv", ("--rate", "250", "--unit", "uV"), ("mV, uV (file and",)),
    Case("18_csv_decimal_comma/r18.csv", KNOWN),
    Case("19_csv_units_row/r19.csv", ("--rate", "250"), ("mV (file)",)),
    Case("20_csv_latin1/r20.csv", ("--rate", "250"), ("V (file)",)),
    Case("21_edf_gap/r21.edf", (), ("2 s from 0 s used, between gaps", "500 samples")),
    Case("22_edf_blank_unit/r22.edf", ("--unit", "mV"), ("mV (argument)",)),
    Case("23_npy_trailing_axis/r23.npy", KNOWN, ("12 x 750 samples",)),
)  # fmt: skip

REFUSED = (
    Case("13_csv_one_field_more/r13.csv", KNOWN, ("12 names or units above 13 columns",)),
    Case("02_wfdb_no_gain/r02.hea", (), ("no unit (the header gives no gain",)),
    Case("07_mat_gain_beside/counts.mat", (), ("a gain of 4.88 beside whole numbers",)),
    Case("11_npy_other_order/ge.npy", KNOWN, ("expected their names as --leads",)),
)


@pytest.fixture(scope="module")
def truth(cases):
    with np.load(cases / "truth.npz") as archive:
        return dict(zip(archive["leads"], archive["mv"], strict=True))


def run(capsys, *arguments):
    status = cli.main(["signals", *map(str, arguments)])
    return status, capsys.readouterr()


def hints_of(options):
    named = dict(zip(options[::2], options[1::2], strict=True))
    leads = (named["--leads"],) if "--leads" in named else None
    rate = float(named["--rate"]) if "--rate" in named else None
    return Hints(rate, named.get("--unit"), leads)


@pytest.mark.parametrize("case", READ, ids=lambda case: case.path)
def test_files_that_are_read(cases, truth, capsys, case):
    status, shown = run(capsys, "inspect", cases / case.path, *case.hints)
    assert status == 0
    assert all(part in shown.out for part in case.says)
    (recording,), _ = read_recordings(cases / case.path, hints_of(case.hints))
    assert recording.rate == 250
    assert len(recording.leads) == case.leads
    for lead, signal in zip(recording.leads, recording.signals, strict=True):
        np.testing.assert_allclose(signal, truth[lead][: len(signal)], atol=2e-3)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.path)
def test_files_that_are_refused(cases, capsys, case):
    status, shown = run(capsys, "inspect", cases / case.path, *case.hints)
    assert status == 2
    assert all(part in shown.err for part in case.says)


def test_counts_without_a_gain_are_read_in_the_unit_that_is_given(cases, truth):
    (recording,), _ = read_recordings(cases / "02_wfdb_no_gain" / "r02.hea", Hints(unit="uV"))
    np.testing.assert_allclose(recording.signals[0], truth["I"], atol=2e-3)


def test_two_rates_in_one_file(cases, capsys):
    status, shown = run(capsys, "inspect", cases / "05_mat_two_rates" / "two.mat")
    first, second, _ = shown.out.splitlines()
    assert status == 0
    assert "500 Hz (file), 3 s" in first and "250 Hz (file), 3 s" in second


def test_many_recordings_in_one_table(cases, capsys):
    status, shown = run(capsys, "inspect", cases / "16_csv_many_by_filename", *KNOWN)
    *lines, _ = shown.out.splitlines()
    assert status == 0
    assert [line.partition(":")[0] for line in lines] == ["r16_a.xml", "r16_b.xml"]
    assert all("12 x 300 samples" in line for line in lines)


def test_names_that_collide_are_two_pages(cases, tmp_path, capsys):
    status, shown = run(
        capsys, "draw", cases / "08_npz_names_collide", tmp_path, "--class", "normal"
    )
    assert status == 0
    assert "2 recordings drawn" in shown.out and "0 were there" in shown.out
    assert len({page.read_bytes() for page in tmp_path.glob("normal/*.jpg")}) == 2


def test_days_do_not_keep_other_files_away(cases, tmp_path, capsys):
    folder = cases / "15_csv_day_fractions"
    status, shown = run(capsys, "draw", folder, tmp_path, "--class", "normal", *KNOWN)
    assert status == 0
    assert sorted(page.stem for page in tmp_path.glob("normal/*")) == ["a_good", "b_days", "c_good"]
    assert "b_days: 3 x 750 samples; 250 Hz (file)" in shown.out
