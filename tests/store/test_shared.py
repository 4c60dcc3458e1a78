"""A table that stores shared columns once reads like one that repeats them."""

import itertools
import shutil

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from priorwise.errors import BadInput
from priorwise.store.shared import Sharing, parts
from priorwise.store.tables import (
    ContentDigest,
    open_pinned,
    scan,
    write_shared_table,
    write_table,
)

SCHEMA = pa.schema(
    [
        ("scan", pa.int32()),
        ("mz", pa.list_(pa.float32())),
        ("intensity", pa.list_(pa.float32())),
        ("name", pa.string()),
    ],
    {b"said": b"by others"},
)
SHARING = Sharing(("mz", "intensity"), "ms1_row", "_ms1")


def batches(groups, size=7, seed=0):
    """Rows of groups with the same peaks, so many rows each."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, n in enumerate(groups):
        k = int(rng.integers(0, 5))
        peaks = rng.random((2, k), np.float32)
        rows += [(number, peaks[0].tolist(), peaks[1].tolist(), f"row {number}")] * n
    for first in range(0, len(rows), size):
        columns = list(zip(*rows[first : first + size], strict=True))
        arrays = [
            pa.array(list(values), field.type)
            for values, field in zip(columns, SCHEMA, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def both(folder, groups, **more):
    """The same rows in both forms."""
    write_table(str(folder / "repeated"), SCHEMA, batches(groups, **more))
    write_shared_table(str(folder / "once"), SCHEMA, lambda: batches(groups, **more), SHARING)
    return open_pinned(str(folder / "repeated")), open_pinned(str(folder / "once"))


def read(pinned, columns=None, first=None, end=None):
    found = list(scan(pinned, columns, first=first, end=end))
    return pa.Table.from_batches(found).to_pylist() if found else []


def digest(pinned):
    found = ContentDigest(pinned.schema)
    for batch in scan(pinned):
        found.update(batch)
    return found.hexdigest()


GROUPS = [3, 1, 7, 7, 2, 30, 1, 1]


def test_both_forms_read_alike(tmp_path):
    repeated, once = both(tmp_path, GROUPS)
    assert once.schema == repeated.schema
    assert once.n_rows == repeated.n_rows == sum(GROUPS)
    assert digest(once) == digest(repeated)
    for columns in (None, ("mz",), ("name",), ("name", "intensity", "scan"), ("intensity", "mz")):
        assert read(once, columns) == read(repeated, columns)
    for first, end in ((0, 1), (5, 20), (50, 52), (3, 3)):
        assert read(once, ("mz", "scan"), first, end) == read(repeated, ("mz", "scan"), first, end)


def test_peaks_are_there_once(tmp_path):
    both(tmp_path, GROUPS)
    assert lance.dataset(str(tmp_path / "once_ms1")).count_rows() <= len(GROUPS)
    assert lance.dataset(str(tmp_path / "once")).schema.names == ["scan", "name", "ms1_row"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 10), st.integers(0, 5))
def test_splitting_loses_nothing(groups, size, seed):
    shared = list(parts(batches(groups, size, seed), SHARING, True))
    rest = list(parts(batches(groups, size, seed), SHARING, False))
    peaks = list(itertools.chain(*(batch.to_pylist() for batch in shared)))
    rows = [
        {**peaks[row.pop("ms1_row")], **row}
        for row in itertools.chain(*(batch.to_pylist() for batch in rest))
    ]
    expected = itertools.chain(*(batch.to_pylist() for batch in batches(groups, size, seed)))
    assert [{k: row[k] for k in SCHEMA.names} for row in rows] == list(expected)
    assert len(peaks) <= len(groups)


def test_not_a_number_and_minus_zero_stay_what_they_are(tmp_path):
    rows = [[0.0], [-0.0], [np.nan], [np.nan], [1.0], []]
    one = pa.array(rows, pa.list_(pa.float32()))
    n = len(rows)
    batch = pa.RecordBatch.from_arrays(
        [pa.array(np.arange(n, dtype=np.int32)), one, one, pa.array(["x"] * n)], schema=SCHEMA
    )
    write_table(str(tmp_path / "repeated"), SCHEMA, [batch])
    write_shared_table(str(tmp_path / "once"), SCHEMA, lambda: [batch], SHARING)
    assert digest(open_pinned(str(tmp_path / "once"))) == digest(
        open_pinned(str(tmp_path / "repeated"))
    )
    assert lance.dataset(str(tmp_path / "once_ms1")).count_rows() == 5  # equal NaN are one


def test_rows_in_any_order_find_their_peaks(tmp_path):
    """As after a user's own filter or shuffle."""
    repeated, once = both(tmp_path, [2] * 400, size=64)
    order = np.random.default_rng(0).permutation(800)[:20]
    source = lance.dataset(once.uri)
    table = source.take(order.tolist()).replace_schema_metadata(source.schema.metadata)
    lance.write_dataset(table, str(tmp_path / "some"))
    shutil.copytree(tmp_path / "once_ms1", tmp_path / "some_ms1")
    expected = repeated.dataset.take(order.tolist()).to_pylist()
    assert read(open_pinned(str(tmp_path / "some"))) == expected


def test_the_other_table_is_pinned_and_missed(tmp_path):
    repeated, once = both(tmp_path, GROUPS)
    other = lance.dataset(str(tmp_path / "once_ms1"))
    other.delete("true")  # a later version without rows
    assert read(open_pinned(once.uri)) == read(repeated)
    shutil.rmtree(tmp_path / "once_ms1")
    with pytest.raises(BadInput, match="once.*cannot open"):
        open_pinned(once.uri)
