"""Pieces of an array as padded lines, against one piece after the other."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from priorwise.spectra.ragged import gather


def piece_by_piece(ragged, starts, sizes, width):
    lines = np.zeros((len(starts), width), np.float32)
    for line, start, size in zip(lines, starts, sizes, strict=True):
        line[:size] = ragged[start : start + size]
    return lines


@given(st.data())
def test_as_piece_by_piece(data):
    total = data.draw(st.integers(1, 40))
    ragged = np.arange(1, total + 1, dtype=np.float32)
    starts = data.draw(st.lists(st.integers(0, total - 1), min_size=0, max_size=8))
    sizes = [data.draw(st.integers(1, total - start)) for start in starts]
    width = max(sizes, default=0) + data.draw(st.integers(0, 50))
    found = gather(torch.from_numpy(ragged), torch.tensor(starts, dtype=torch.int64),
                   torch.tensor(sizes, dtype=torch.int64), width)  # fmt: skip
    assert found.dtype == torch.float32 and found.shape == (len(starts), width)
    assert np.array_equal(found.numpy(), piece_by_piece(ragged, starts, sizes, width))


def test_what_lies_beside_a_piece_does_not_reach_it():
    ragged = torch.tensor([1.0, float("nan"), float("inf"), 2.0])
    found = gather(ragged, torch.tensor([0, 3]), torch.tensor([1, 1]), 3)
    assert found.tolist() == [[1, 0, 0], [2, 0, 0]]
    assert ragged[0] == 1 and ragged[3] == 2  # nothing was written there


def test_a_piece_of_no_values_at_the_very_end():
    found = gather(torch.tensor([1.0, 2.0]), torch.tensor([2, 1]), torch.tensor([0, 1]), 2)
    assert found.tolist() == [[0, 0], [2, 0]]
