"""Where data lie, and addresses that name no place."""

import pytest

from priorwise.errors import BadInput
from priorwise.store.addresses import bucket_and_key, is_remote


@pytest.mark.parametrize(
    ("address", "bucket", "key"),
    [
        ("s3://bucket/some/key", "bucket", "some/key"),
        ("s3://bucket", "bucket", ""),
        ("s3a://bucket/a?b#c", "bucket", "a?b#c"),
        ("S3://bucket/key", "bucket", "key"),
    ],
)
def test_an_address_of_an_object_store(address, bucket, key):
    assert is_remote(address)
    assert bucket_and_key(address) == (bucket, key)


@pytest.mark.parametrize("path", ["", ".", "/data/s3", "s3/data", "file:///data", "C:/data"])
def test_a_path_is_none(path):
    assert not is_remote(path)


@pytest.mark.parametrize(
    "address", ["s3:", "s3:/", "s3://", "s3:///key", "s3:/bucket/key", "s3a://"]
)
def test_an_address_without_a_bucket_is_refused(address):
    with pytest.raises(BadInput, match="names no bucket") as refused:
        is_remote(address)
    assert str(refused.value).startswith(f"{address}: ")
