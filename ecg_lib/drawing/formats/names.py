"""What names, units and rates mean that files spell in many ways."""

import re
import unicodedata
from typing import Any, NamedTuple

import numpy as np

from ecg_lib.pages.leads import LEADS

UNITS = {"mV": 1.0, "uV": 1e-3, "V": 1e3, "nV": 1e-6}
"""From a unit's name to its size in mV."""

TIME_UNITS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "sek": 1.0,
    "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "millis": 1e-3, "millisecond": 1e-3,
    "milliseconds": 1e-3,
    "us": 1e-6, "usec": 1e-6, "usecs": 1e-6, "micros": 1e-6, "microsecond": 1e-6,
    "microseconds": 1e-6,
    "ns": 1e-9, "nsec": 1e-9, "nanosecond": 1e-9, "nanoseconds": 1e-9,
    "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "std": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0, "tage": 86400.0,
}  # fmt: skip
"""From a unit of time to its length in seconds."""

# Lead numbers of SCP-ECG, which DICOM ("5.6.3-9-61") and ISO 11073-10101 ("2:61") repeat.
_SCP_LEADS = {
    "1": "I", "2": "II", "61": "III", "62": "aVR", "63": "aVL", "64": "aVF",
    "3": "V1", "4": "V2", "5": "V3", "6": "V4", "7": "V5", "8": "V6",
}  # fmt: skip

_NO_UNIT = {
    "", "-", "--", "?", "1", "nu", "n/a", "na", "nan", "none", "null", "unknown", "unitless",
    "adu", "adc", "count", "counts", "digital", "lsb", "raw", "au", "a.u.", "a.u",
}  # fmt: skip
"""What stands where a unit is expected and names none, or says that there is none."""

_SPOKEN = {
    "ecg", "ekg", "mdc", "lead", "leads", "abl", "ableitung", "derivation", "deriv", "derivacion",
    "derivacao", "channel", "ch", "signal", "sig", "ref", "einthoven", "goldberger", "wilson",
    "voltage", "amplitude", "chest", "limb", "precordial", "augmented",
}  # fmt: skip
"""Words that stand beside a lead's name and change nothing."""

_TURNED = {"neg", "negative", "minus", "inv", "inverted", "inverse", "turned"}

_LEAD_TOKENS = {lead.lower(): lead for lead in LEADS} | {"di": "I", "dii": "II", "diii": "III"}
_NUMBERED_TOKENS = {
    f"{prefix}{number}": lead
    for number, lead in enumerate(("I", "II", "III"), 1)
    for prefix in ("d", "l", "lead", "abl")
}


class LeadName(NamedTuple):
    """What a name says of a lead.

    Attributes:
        lead: a name out of `ecg_lib.pages.leads.LEADS`.
        turned: whether it is recorded with the opposite sign, as Cabrera's -aVR is.
        numbered: whether the lead is named by a number, as D1 or "Lead 1" for I.
    """

    lead: str
    turned: bool = False
    numbered: bool = False


def read_lead(text: str) -> LeadName | None:
    """Read a lead's name, such as aVR out of "ECG AVR (mV)", or return None."""
    name, bracket = _split_bracket(_normalise(text))
    if not name:
        name, bracket = bracket, ""
    code = re.search(r"(?:5\.6\.3-9-|^2:|\bscp(?:ecg)?[\s_:.-]*)(\d+)$", name)
    if code and code[1] in _SCP_LEADS:
        return LeadName(_SCP_LEADS[code[1]])
    tokens = _tokens(name)
    turned = bool(_TURNED & {*tokens, *_tokens(bracket)})
    tokens = [token for token in tokens if token not in _TURNED]
    leads = [_lead_of(token) for token in _glue_numbers(tokens)]
    found = [lead for lead in leads if lead]
    rest = [token for token, lead in zip(_glue_numbers(tokens), leads, strict=True) if not lead]
    if len(found) != 1 or any(token not in _SPOKEN and not unit_size(token) for token in rest):
        return None
    return found[0]._replace(turned=turned)


def read_leads(names: tuple[str, ...]) -> list[LeadName | None]:
    """Read all lead names of a recording.

    "D1", "D2" and "D3" are I, II and III, but not where a "D4" shows that the numbers only count.
    """
    leads = [read_lead(name) for name in names]
    counted = [re.fullmatch(r"(?:d|l|lead|abl)[\s_.-]*(\d+)", _normalise(name)) for name in names]
    if any(number and int(number[1]) not in (1, 2, 3) for number in counted):
        return [None if lead and lead.numbered else lead for lead in leads]
    return leads


def unit_in(text: str) -> str | None:
    """Return the unit in a name, such as "mV" in "I (mV)", "I_mV" or "I/mV", or None."""
    name, bracket = _split_bracket(_normalise(text, lower=False))
    if bracket and not {bracket.lower(), *_tokens(bracket)} & (_NO_UNIT | _SPOKEN | _TURNED):
        return bracket
    parts = re.split(r"[\s_/,:-]+", name)
    return parts[-1] if len(parts) > 1 and unit_size(parts[-1]) else None


def known_unit(text: str | None) -> str | None:
    """Return a unit as a file spells it, or None where it says that there is none."""
    return None if text is None or text.strip().lower() in _NO_UNIT else text.strip()


def unit_size(text: str) -> float | None:
    """Return the size in mV of a unit as a file spells it, such as "µV" or "microvolt"."""
    plain = _normalise(text).replace("micro", "u").replace("milli", "m").replace("nano", "n")
    plain = re.sub(r"volts?$", "v", plain).replace("\N{GREEK SMALL LETTER MU}", "u")
    sizes = {name.lower(): size for name, size in UNITS.items()}
    return sizes.get(plain.rstrip("."))


def is_unit(text: str) -> bool:
    """Return whether a table's cell is a unit, of voltage, of time, or one that says nothing."""
    plain = _normalise(text).strip("()[]").strip()
    time = plain in TIME_UNITS or re.fullmatch(r"[hms:.]+", plain)
    return bool(plain in _NO_UNIT or unit_size(plain) or time)


def read_rate(value: Any, unit_needed: bool = False) -> float | None:
    """Read a sampling rate, such as 500, "500 Hz" or "0.5 kHz", in samples per second.

    Args:
        value: a number, an array that holds one, or words.
        unit_needed: whether words without a unit, such as "500", are not taken for a rate.

    Returns:
        The rate, or None where there is none.
    """
    value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    found = re.fullmatch(
        r"([-+]?[\d.,]*\d(?:e[-+]?\d+)?)\s*"
        r"((k?)(?:hz|hertz)|sps|(?:samples?\s*)?(?:/|per\s)\s*s(?:ec(?:ond)?)?)?\.?",
        _normalise(text),
    )
    if not found or (unit_needed and not found[2]):
        return None
    try:
        return float(found[1].replace(",", ".")) * (1000 if found[3] else 1)
    except ValueError:
        return None


def plain_name(name: str) -> str:
    """Return a name in lower case, its letters only, without what stands in brackets."""
    return re.sub("[^a-z]", "", _split_bracket(_normalise(name))[0])


def _normalise(text, lower=True):
    """One spelling for signs that look alike: roman numerals, micro signs, minus signs."""
    text = unicodedata.normalize("NFKC", text).strip().strip("'\"").strip()
    text = re.sub("[\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}]", "-", text)
    return text.lower() if lower else text


def _split_bracket(text):
    """A text without what stands in its first brackets, and that."""
    found = re.search(r"[(\[{]([^)\]}]*)[)\]}]?", text)
    if not found:
        return text, ""
    return (text[: found.start()] + " " + text[found.end() :]).strip(), found[1].strip()


def _tokens(name):
    """Words of a name; one for a minus sign, which precedes a name and does not join two."""
    name = re.sub(r"(^|[\s_(])-(?=[a-z])", r"\1 minus ", name)
    name = re.sub(r"(^|[\s_-])v[\s_.-]?(?=[1-6]($|\D))", r"\1v", name)
    name = re.sub(r"(^|[\s_-])a[\s_.-]?v[\s_.-]?(?=[rlf]($|[^a-z]))", r"\1av", name)
    return [token for token in re.split(r"[\s_:.,/\\|-]+", name) if token]


def _glue_numbers(tokens):
    """Join "lead" and the number after it: "1" alone is no name."""
    glued = []
    for token in tokens:
        if token in ("1", "2", "3") and glued and f"{glued[-1]}{token}" in _NUMBERED_TOKENS:
            glued[-1] += token
        else:
            glued.append(token)
    return glued


def _lead_of(token):
    if token in _NUMBERED_TOKENS:
        return LeadName(_NUMBERED_TOKENS[token], numbered=True)
    bare = re.sub(r"^(ecg|ekg|lead)+", "", token)
    return LeadName(_LEAD_TOKENS[bare]) if bare in _LEAD_TOKENS else None
