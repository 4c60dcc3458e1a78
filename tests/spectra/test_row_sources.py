"""Rows in memory, packed and streamed are the same rows."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch

from priorwise.learn.batches import KeyedBatches
from priorwise.spectra.packed_rows import PackedRows, pack_rows
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.spectra.streamed_rows import StreamedRows
from priorwise.store import tables
from priorwise.store.tables import open_pinned, write_table

N, BLOCK, WINDOW, SIZE = 333, 32, 8, 16
POLARITIES = ("both", "positive", "negative")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows of 0 or more peaks in several fragments."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, 40, N)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    settings = rng.normal(size=(N, 22)).astype(np.float32)
    settings[:, 14] = rng.random(N) < 0.4
    settings[:, 15] = 1 - settings[:, 14]
    names = pa.array(["x"] * N)
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(np.arange(N, dtype=np.int32)),
            pa.array(np.arange(N, dtype=np.int32)),
            pa.ListArray.from_arrays(ends, rng.random(ends[-1], np.float32)),
            pa.ListArray.from_arrays(ends, rng.random(ends[-1], np.float32)),
            pa.ListArray.from_arrays(np.arange(N + 1, dtype=np.int32) * 22, settings.ravel()),
            pa.array(rng.random(N).astype(np.float32)),
            pa.array((rng.random(N) < 0.2).astype(np.float32)),
            *[names] * 4,
        ],
        schema=SPECTRA_SCHEMA,
    )
    uri = str(tmp_path_factory.mktemp("rows") / "train_data")
    write_table(uri, SPECTRA_SCHEMA, iter([batch]), rows_per_file=50)
    return open_pinned(uri)


def order_of(rows, **more):
    given = {"window": WINDOW, "lengths": rows.lengths, "strata": rows.strata, **more}
    return KeyedBatches(len(rows), SIZE, seed=2, **given)


def assert_same(one, other):
    for name, values in vars(one).items():
        torch.testing.assert_close(getattr(other, name), values, rtol=0, atol=0)


@pytest.mark.parametrize("polarity", POLARITIES)
def test_all_sources_give_the_same_batches(table, tmp_path, polarity):
    memory = load_rows(table, polarity)
    packed = PackedRows(pack_rows(table, "digest", tmp_path), polarity)
    streamed = StreamedRows(table, polarity, BLOCK, WINDOW * SIZE // BLOCK)
    np.testing.assert_array_equal(packed.row, memory.row)
    for rows in (packed, streamed):
        assert len(rows) == len(memory)
        np.testing.assert_array_equal(rows.lengths, memory.lengths)
        np.testing.assert_array_equal(rows.strata, memory.strata)
        seen = 0
        for block in (1, BLOCK):
            for indices in order_of(rows, block=block):
                assert_same(memory.assemble(indices), rows.assemble(indices))
                seen += len(indices)
        assert seen == 2 * len(memory)


def test_each_block_is_read_once_an_epoch(table, monkeypatch):
    streamed = StreamedRows(table, "positive", BLOCK, WINDOW * SIZE // BLOCK)
    read, scan = [], tables.scan

    def counted(pinned, columns, first, end):
        read.append(first)
        return scan(pinned, columns, first=first, end=end)

    monkeypatch.setattr("priorwise.spectra.streamed_rows.scan", counted)
    order = order_of(streamed, block=BLOCK)
    for _ in map(streamed.assemble, order):
        assert len(streamed._blocks) <= WINDOW * SIZE // BLOCK
    assert sorted(read) == sorted(set(read))
    assert len(read) == -(-len(streamed) // BLOCK)


@pytest.mark.parametrize("kind", ["packed", "streamed"])
def test_rows_travel_to_other_processes(table, tmp_path, kind):
    if kind == "packed":
        rows = PackedRows(pack_rows(table, "digest", tmp_path), "negative")
    else:
        rows = StreamedRows(table, "negative", BLOCK, 4)
    sent = pickle.dumps(rows)
    assert len(sent) < 1000  # where they lie, not what they are
    assert_same(rows.assemble([0, 5, 3]), pickle.loads(sent).assemble([0, 5, 3]))


def test_strata_are_polarity_and_label(table):
    rows = load_rows(table)
    for row in range(0, N, 7):
        assert rows.strata[row] == 2 * bool(rows.positive[row]) + int(rows.s[row])


def test_an_order_survives_the_sending_of_its_rows(table):
    """Tensors move to shared memory when they are sent: whoever looks at them must not stay."""
    rows = load_rows(table)
    order = order_of(rows)
    expected = [indices.tolist() for indices in order]
    for name in ("sizes", "starts", "mz"):
        getattr(rows, name).share_memory_()
        getattr(rows, name).fill_(0)
    assert [indices.tolist() for indices in order] == expected
