"""Damaged MATLAB files, one of which would end the process in scipy."""

import numpy as np
import pytest
import scipy.io

from ecg_lib.drawing.formats.mat_tags import refuse_damaged_tags
from ecg_lib.errors import InputError

CONTENT = {"ecg": np.ones((12, 80)), "s": {"fs": 250.0, "names": ["I", "II"]}, "c": [1, "a"]}


@pytest.mark.parametrize("compress", [False, True])
def test_sound_files_pass(tmp_path, compress):
    scipy.io.savemat(tmp_path / "a.mat", CONTENT, do_compression=compress)
    refuse_damaged_tags(tmp_path / "a.mat")


def test_other_versions_are_left_to_their_readers(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"ecg": np.ones((12, 80))}, format="4")
    refuse_damaged_tags(tmp_path / "a.mat")


@pytest.mark.parametrize("place", [128, 136, 152, 168, 177])
def test_an_unknown_type_is_refused(tmp_path, place):
    scipy.io.savemat(tmp_path / "a.mat", CONTENT)
    raw = bytearray((tmp_path / "a.mat").read_bytes())
    raw[place] ^= 65
    (tmp_path / "a.mat").write_bytes(raw)
    with pytest.raises(InputError, match="it is damaged or cut off"):
        refuse_damaged_tags(tmp_path / "a.mat")


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_is_cut_off_is_refused(tmp_path, compress):
    scipy.io.savemat(tmp_path / "a.mat", CONTENT, do_compression=compress)
    raw = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(raw[:-40])
    with pytest.raises(InputError, match="it is damaged or cut off"):
        refuse_damaged_tags(tmp_path / "a.mat")
