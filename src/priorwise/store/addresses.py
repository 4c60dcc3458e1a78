"""Where data lie: a path, or s3://bucket/key of the object store that the environment names."""

import os
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.config import Config

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
    endpoint = _endpoint()
    if not endpoint:
        return {}
    return {"endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}


def client(config: Config | None = None) -> Any:
    """A client of the object store."""
    return boto3.client("s3", endpoint_url=_endpoint(), config=config)


def _endpoint() -> str | None:
    # so that one variable serves MLflow, Lance and boto
    return os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("MLFLOW_S3_ENDPOINT_URL")
