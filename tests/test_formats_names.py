"""What names, units and rates mean that files spell in many ways."""

import numpy as np
import pytest

from ecg_lib.drawing.formats.names import (
    LeadName,
    read_lead,
    read_leads,
    read_rate,
    unit_in,
    unit_size,
)


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("aVR", "aVR"),
        ("AVR", "aVR"),
        ("a VR", "aVR"),
        ("ECG aVF", "aVF"),
        ("Lead II (mV)", "II"),
        ("Lead-II", "II"),
        ("Lead \N{ROMAN NUMERAL THREE}", "III"),
        ("ecg_lead_v6", "V6"),
        ("V_3", "V3"),
        ("V1[uV]", "V1"),
        ("V1-Ref", "V1"),
        ("I_mV", "I"),
        ("V2/mV", "V2"),
        ("MDC_ECG_LEAD_AVL", "aVL"),
        ("5.6.3-9-61", "III"),
        ("2:3", "V1"),
        ("SCP 64", "aVF"),
        ("'V5'", "V5"),
        ("Lead I (Einthoven)", "I"),
        ("Ableitung I", "I"),
        ("V7", None),
        ("V3R", None),
        ("MLII", None),
        ("resp", None),
        ("I filtered", None),
        ("V1-V2", None),
        ("1", None),
        ("", None),
    ],
)
def test_lead_names_as_files_spell_them(text, lead):
    assert read_lead(text) == (lead and LeadName(lead))


@pytest.mark.parametrize(
    "text", ["-aVR", "Lead -aVR", "\N{MINUS SIGN}aVR", "aVR (inverted)", "neg_aVR", "(-aVR)"]
)
def test_a_lead_may_be_recorded_turned_over(text):
    assert read_lead(text) == LeadName("aVR", turned=True)


@pytest.mark.parametrize(
    "names", [("D1", "D2", "D3"), ("Lead 1", "Lead 2", "Lead 3"), ("l1", "l2", "l3")]
)
def test_numbered_limb_leads(names):
    assert [lead.lead for lead in read_leads((*names, "aVR"))] == ["I", "II", "III", "aVR"]


def test_numbers_that_only_count_name_no_leads():
    assert not any(read_leads(tuple(f"Lead {number}" for number in range(1, 13))))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("I (mV)", "mV"),
        ("I_mV", "mV"),
        ("V1 [\N{MICRO SIGN}V]", "\N{GREEK SMALL LETTER MU}V"),
        ("V1 {uV}", "uV"),
        ("aVR/nV", "nV"),
        ("I", None),
        ("V1", None),
        ("I (-)", None),
        ("aVR (inverted)", None),
    ],
)
def test_units_in_names(text, unit):
    assert unit_in(text) == unit


@pytest.mark.parametrize(
    ("unit", "size"),
    [("mV", 1), ("MV", 1), ("microvolts", 1e-3), ("\xb5V", 1e-3), ("Volt", 1e3), ("nV", 1e-6)],
)
def test_sizes_of_units(unit, size):
    assert unit_size(unit) == size


@pytest.mark.parametrize("unit", ["mmHg", "mV/mm", "NU", "10 uV", ""])
def test_what_is_no_unit_has_no_size(unit):
    assert unit_size(unit) is None


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (500, 500),
        (np.array([[360.0]]), 360),
        ("500", 500),
        ("500 Hz", 500),
        ("512 hertz", 512),
        ("0.5 kHz", 500),
        ("250 samples/s", 250),
        ("250,5 Hz", 250.5),
        (b"128", 128),
        ("fast", None),
        ("12 minutes", None),
        (None, None),
    ],
)
def test_rates_as_numbers_and_words(value, rate):
    assert read_rate(value) == rate
