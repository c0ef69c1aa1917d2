"""The record of a run: what is read, what is refused, and the committed ones."""

import json

import pytest
from conftest import ROOT

from ecg_lib.errors import InputError
from ecg_lib.runs.record import LARGEST_RECORD, RECORD, read_record, write_record

COMMITTED = sorted((ROOT / "results").rglob(RECORD))


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("config", [], r"config is \[\]: expected an object"),
        ("config", {"epochs": "20"}, "config: epochs is '20': expected a value of type int"),
        ("config", {"model": "resnet"}, "config: unknown model 'resnet'"),
        ("config", {"colour": "red"}, "config is 'colour': expected options among protocol"),
        ("split_hash", None, "split_hash is None: expected text"),
        ("classes", "normal", "classes is 'normal': expected a list"),
        ("classes", [], r"classes is \[\]: expected each class once"),
        ("classes", ["normal", "normal"], "expected each class once"),
        ("classes", ["<script>"], "classes is '<script>': expected names among normal"),
        ("classes", [["normal"]], r"classes\[0\] is \['normal'\]: expected text"),
        ("pages", {"test": -1}, r"pages\['test'\] is -1: expected a whole number"),
        ("pages", {"spare": 1}, "pages is 'spare': expected names among train"),
        ("epochs_done", 2.5, "epochs_done is 2.5: expected a whole number"),
        ("epochs_done", True, "epochs_done is True: expected a whole number"),
        ("parameters", 10**300, "parameters is 1000.*: expected a whole number"),
        ("resumed", "no", "resumed is 'no': expected true or false"),
        ("wall_seconds", float("nan"), "cannot be read"),
        ("wall_seconds", 1e300, r"wall_seconds is 1e\+300: expected a finite number"),
        ("devices", {"0": "CPU"}, "devices is {'0': 'CPU'}: expected a list"),
        ("layouts", {"a": {"flu": 1}}, r"layouts\['a'\] is 'flu': expected names among"),
        ("members", [{"seed": 1}], r"members\[0\].model_sha256 is missing"),
        ("answering", {"temperature": "warm"}, "answering.temperature is 'warm': expected a fin"),
        ("data", "x" * LARGEST_RECORD, "is too long: expected at most"),
    ],
)
def test_a_bad_value_is_named_with_its_file_and_field(run, field, value, fault):
    content = json.loads((run / RECORD).read_text(encoding="utf-8")) | {field: value}
    (run / RECORD).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=fault) as refused:
        read_record(run)
    message = str(refused.value)
    assert message.startswith(str(run / RECORD)) and len(message) < len(str(run)) + 300


def test_a_missing_field_is_named(run):
    content = json.loads((run / RECORD).read_text(encoding="utf-8"))
    del content["devices"]
    (run / RECORD).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="devices is missing"):
        read_record(run)


@pytest.mark.parametrize("text", ["", "[1]", "\0", "[" * 100_000, '{"seed": NaN}', "9" * 5000])
def test_what_is_no_record_is_refused(run, text):
    (run / RECORD).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json (cannot be read|holds no JSON object)"):
        read_record(run)


def test_a_written_record_is_read_back(run):
    record = read_record(run)
    assert record.answering is not None and record.layouts is not None
    write_record(run, record)
    assert read_record(run) == record


def test_every_committed_record_is_read():
    records = {path: read_record(path.parent) for path in COMMITTED}
    assert len(records) >= 149
    for path, record in records.items():
        content = json.loads(path.read_text(encoding="utf-8"))
        assert record.config.epochs == content["config"]["epochs"]
        assert record.parameters == content["parameters"]
        assert list(record.classes) == content["classes"]
        size = content["config"].get("image_size")
        if size:  # Recorded before there were a height and a width.
            width = content["config"].get("image_width", 0) or size
            assert (record.config.height, record.config.width) == (size, width)
