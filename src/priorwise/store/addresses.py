"""Where data lie: a path, or s3://bucket/key of the object store that the environment names."""

import os
from urllib.parse import urlparse

from priorwise.errors import BadInput


def is_remote(uri: str) -> bool:
    """Whether `uri` names an object store rather than a path.

    Raises
    ------
    BadInput
        If it names one, but no bucket in it.
    """
    remote = urlparse(uri).scheme in {"s3", "s3a", "s3+ddb"}
    if remote and not bucket_and_key(uri)[0]:
        raise BadInput(f"{uri}: names no bucket (expected s3://bucket/key)")
    return remote


def bucket_and_key(address: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    # not urlparse: a key may hold "?" and "#"
    bucket, _, key = address.partition("://")[2].partition("/")
    return bucket, key


def storage_options(uri: str) -> dict[str, str] | None:
    """Lance's options of the object store; None for local paths."""
    if not is_remote(uri):
        return None
    place = endpoint()
    if not place:
        return {}
    return {"endpoint": place, "allow_http": str(place.startswith("http://")).lower()}


def endpoint() -> str | None:
    """Address of the object store; None is Amazon's own."""
    # so that one variable serves MLflow, Lance and boto
    return os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("MLFLOW_S3_ENDPOINT_URL")
