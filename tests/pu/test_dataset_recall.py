import math

import numpy as np
import pytest
from tests.reference.scar import wilson

from priorwise.pu.dataset_recall import ENOUGH_DATASETS, recall_by_dataset, recall_check


def test_interval_by_dataset_is_wider_where_data_sets_differ():
    rng = np.random.default_rng(1)
    n = np.full(12, 50)
    alike, unlike = np.full(12, 45), np.array([50, 50, 50, 50, 50, 50, 40, 40, 40, 40, 40, 40])
    low, high = recall_by_dataset(n, alike, rng=rng)
    assert low == high == 0.9
    low, high = recall_by_dataset(n, unlike, rng=rng)
    narrow = wilson(int(unlike.sum()), 600)
    assert low < narrow[0] < 0.9 < narrow[1] < high


def test_data_sets_without_labelled_rows_say_nothing_of_recall():
    n, k = [30, 40, 50, 60, 70], [20, 39, 44, 50, 69]
    plain = recall_by_dataset(n, k, rng=np.random.default_rng(3))
    more = recall_by_dataset([*n, 0, 0], [*k, 0, 0], rng=np.random.default_rng(3))
    assert plain == more
    assert recall_by_dataset(n[1:], k[1:], rng=np.random.default_rng(3)) is None
    assert len(n) == ENOUGH_DATASETS


def test_check_of_recall():
    assert recall_check([50, 60, 70], [45, 54, 63]).p_value > 0.5
    found = recall_check([50, 60, 70, 4], [45, 54, 30, 0])
    assert found.p_value < 1e-6 and found.groups == 3  # four labelled rows say nothing


@pytest.mark.parametrize(
    ("labelled", "kept"), [([50], [40]), ([50, 4], [40, 4]), ([50, 60], [50, 60]), ([9, 9], [0, 0])]
)
def test_recall_that_cannot_differ_is_not_tested(labelled, kept):
    assert math.isnan(recall_check(labelled, kept).p_value)
