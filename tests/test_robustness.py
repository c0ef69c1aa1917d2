"""The robustness benchmark: what it counts, and that its variants change pages as they say."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.robustness import AS_IT_IS, COVID, REFUSED, VARIANTS, robustness_table, write


@pytest.fixture
def labels():
    """Four pages: the answers are right as they are, and change in one variant."""
    truth = ["normal", "normal", "abnormal_heartbeat", COVID]
    labels = pd.DataFrame({variant: truth for variant in VARIANTS}).assign(label=truth)
    labels["saved at 60 %"] = [COVID, "normal", REFUSED, COVID]
    return labels


def test_counts_of_a_variant(labels):
    table = robustness_table(labels).set_index("variant")
    row = table.loc["saved at 60 %"]
    assert row["read"] == 0.75
    assert row["accuracy"] == 0.5
    assert row["changed"] == pytest.approx(1 / 3)
    assert row["to_covid"] == pytest.approx(1 / 3)
    assert table.loc[AS_IT_IS, ["read", "accuracy", "macro_f1"]].eq(1).all()
    assert table.loc[AS_IT_IS, ["changed", "to_covid"]].eq(0).all()


def test_table_names_each_run_and_variant(labels, tmp_path):
    text = write({"first": robustness_table(labels)}, len(labels), tmp_path)
    assert text == (tmp_path / "robustness.md").read_text(encoding="utf-8")
    assert all(f"| first | {variant} |" in text for variant in VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_give_pages(name, drawn):
    luma, _ = drawn["standard_3x4_with_rhythm"]
    changed = VARIANTS[name](luma, np.random.default_rng(1))
    assert changed.dtype == np.uint8 and changed.ndim == 2
    assert (name == AS_IT_IS) == np.array_equal(changed, luma)
    if name.startswith("saved at"):
        percent = int(name.split()[2])
        assert changed.shape[1] == pytest.approx(luma.shape[1] * percent / 100, abs=1)
