"""Preparing by several processes: those of a Dask cluster, and those that want the same set."""

import subprocess
import sys

import joblib
import pytest

from ecg_lib.data.prepared import prepare


def bytes_of(prepared):
    return {
        name: (prepared.folder / name).read_bytes()
        for name in ("crops.npy", "pages.csv", "bad_pages.csv")
    }


def test_a_dask_cluster_prepares_the_same_bytes(pages_folder, prepared_set, tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as own,
        distributed.Client(own) as client,
        joblib.parallel_config(backend="dask"),
    ):
        prepared = prepare(pages_folder, tmp_path, height=16, width=16)
        done = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(done) == 2 and all(done.values())
    assert bytes_of(prepared) == bytes_of(prepared_set)


def test_two_processes_prepare_one_set_once(pages_folder, prepared_set, tmp_path):
    code = "import sys; from ecg_lib.data.prepared import prepare; "
    code += "prepare(sys.argv[1], sys.argv[2], height=16, width=16, jobs=1)"
    command = [sys.executable, "-c", code, str(pages_folder), str(tmp_path)]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") for _ in range(2)
    ]
    printed = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], printed
    assert sum("preparing" in text for text in printed) == 1
    assert bytes_of(prepare(pages_folder, tmp_path, height=16, width=16)) == bytes_of(prepared_set)
