"""Tables in an object store: what was written is what is read, or the object is named."""

import uuid

import numpy as np
import pyarrow as pa
import pytest
from tests.pipelines.stand_in_s3 import bucket_of_a_user, stand_in_s3

from priorwise.errors import BadInput
from priorwise.store.probes import tables_at
from priorwise.store.remote_digest import NAME, rows_digest
from priorwise.store.shared import Sharing
from priorwise.store.table_check import check_content, check_files, check_rows
from priorwise.store.tables import (
    ContentDigest,
    open_pinned,
    scan,
    write_shared_table,
    write_table,
)

BUCKET = "tables"
SCHEMA = pa.schema([("n", pa.int32()), ("peaks", pa.list_(pa.float32()))])


@pytest.fixture(scope="module")
def variables():
    with stand_in_s3() as found:
        yield found


@pytest.fixture
def store(variables, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where it is kept what was found before
    return bucket_of_a_user(variables, monkeypatch, BUCKET)


@pytest.fixture
def uri():
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/table"


def rows(n=200):
    rng = np.random.default_rng(1)
    return [
        pa.RecordBatch.from_pydict(
            {
                "n": pa.array(np.arange(first, first + 50), pa.int32()),
                "peaks": pa.array(list(rng.random((50, 6), np.float32)), pa.list_(pa.float32())),
            },
            schema=SCHEMA,
        )
        for first in range(0, n, 50)
    ]


def digest_of(pinned):
    digest = ContentDigest(pinned.schema)
    for batch in scan(pinned):
        digest.update(batch)
    return digest.hexdigest()


def objects(store, uri):
    prefix = uri.removeprefix(f"s3://{BUCKET}/")
    found = store.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/data/")["Contents"]
    return [item["Key"] for item in found]


def test_the_digest_of_the_rows_is_written_with_them(store, uri):
    version = write_table(uri, SCHEMA, rows())
    pinned = open_pinned(uri)
    digest = digest_of(pinned)
    assert rows_digest(uri, version) == digest
    assert rows_digest(uri, version + 1) == ""
    assert len(check_files(pinned).sound) == 1
    check_content(pinned, digest)


def test_of_a_table_with_shared_columns_it_is_that_of_the_rows_as_they_are_read(store, uri):
    sharing = Sharing(("peaks",), "peaks_row", "_shared")
    batches = [
        batch.set_column(1, "peaks", batch.column("peaks").take(pa.array([0] * batch.num_rows)))
        for batch in rows()
    ]
    version = write_shared_table(uri, SCHEMA, lambda: batches, sharing)
    pinned = open_pinned(uri)
    assert pinned.shared is not None and pinned.schema.names == SCHEMA.names
    assert rows_digest(uri, version) == digest_of(pinned)
    assert len(check_files(pinned).sound) == 2


@pytest.mark.parametrize("seen_before", [True, False])
@pytest.mark.parametrize("how", ["bit", "truncated", "missing"])
def test_a_damaged_object_is_named(store, uri, how, seen_before):
    write_table(uri, SCHEMA, rows())
    pinned = open_pinned(uri)
    if seen_before:
        check_files(pinned)
        check_content(pinned, digest_of(pinned))
    (key,) = objects(store, uri)
    content = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    if how == "missing":
        store.delete_object(Bucket=BUCKET, Key=key)
    else:
        # within the values: Lance itself would notice nothing
        middle = len(content) // 3
        flipped = content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]
        body = flipped if how == "bit" else content[:-9]
        store.put_object(Bucket=BUCKET, Key=key, Body=body)
    pinned = open_pinned(uri)
    with pytest.raises(BadInput) as refused:
        check_files(pinned)
        check_content(pinned, digest_of(pinned))
    if how == "bit" and not seen_before:
        assert f"{uri}: version 1 has other rows" in str(refused.value)
    else:
        assert f"s3://{BUCKET}/{key}: " in str(refused.value)


def test_a_table_of_others_has_no_digest(store, uri):
    write_table(uri, SCHEMA, rows())
    store.delete_object(Bucket=BUCKET, Key=f"{uri.removeprefix(f's3://{BUCKET}/')}/{NAME}")
    pinned = open_pinned(uri)
    assert rows_digest(uri, 1) == ""
    check_files(pinned)
    check_content(pinned, digest_of(pinned))


@pytest.mark.parametrize("content", [b"", b"1 hello world\n", bytes(range(256)), b"a" * 10_000_000])
def test_a_damaged_digest_is_named_itself(store, uri, content):
    write_table(uri, SCHEMA, rows())
    key = f"{uri.removeprefix(f's3://{BUCKET}/')}/{NAME}"
    store.put_object(Bucket=BUCKET, Key=key, Body=content)
    with pytest.raises(BadInput, match=f"{uri}/{NAME}: is damaged"):
        check_content(open_pinned(uri), "0" * 32)


def test_tables_below_a_prefix_are_found_and_none_beside_it(store, uri):
    write_table(uri, SCHEMA, rows(50))
    write_table(f"{uri}_other", SCHEMA, rows(50))
    assert tables_at(uri) == tables_at(f"{uri}/") == [uri]
    assert tables_at(uri.rpartition("/")[0]) == [uri, f"{uri}_other"]
    assert tables_at(f"s3://{BUCKET}/nothing/here") == []
    with pytest.raises(BadInput, match="NoSuchBucket"):
        tables_at("s3://no-such-bucket/x")


def test_rows_are_read_and_compared(store, uri):
    write_table(uri, SCHEMA, rows())
    assert check_rows(open_pinned(uri)) == 200
    (key,) = objects(store, uri)
    content = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    middle = len(content) // 3
    flipped = content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]
    store.put_object(Bucket=BUCKET, Key=key, Body=flipped)
    with pytest.raises(BadInput, match="has other rows"):
        check_rows(open_pinned(uri))
