"""The digest of a table's rows, however they are cut into batches."""

import pyarrow as pa
import pytest

from priorwise.store.tables import ContentDigest

PAIRS = pa.list_(pa.list_(pa.int32(), 2))
ROWS = [[[0, 9], [1, 8]], None, [], [[2, 7]], [[3, 6], [4, 5]]]


def digest(rows, size=99):
    schema = pa.schema([("pairs", PAIRS)])
    whole = ContentDigest(schema)
    for first in range(0, len(rows), size):
        column = pa.array(rows[first : first + size], PAIRS)
        whole.update(pa.record_batch([column], schema=schema))
    return whole.hexdigest()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_lists_of_pairs_have_one_digest_whatever_the_batches(size):
    assert digest(ROWS, size) == digest(ROWS)


@pytest.mark.parametrize(
    "other",
    [
        ROWS[:-1],
        [ROWS[1], ROWS[0], *ROWS[2:]],
        [[[0, 9]], None, [[1, 8]], [[2, 7]], [[3, 6], [4, 5]]],  # the same pairs in other rows
        [[[0, 8], [1, 9]], *ROWS[1:]],
        [ROWS[0], [], None, *ROWS[3:]],
    ],
)
def test_other_rows_have_another_digest(other):
    assert digest(other) != digest(ROWS)
