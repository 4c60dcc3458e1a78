"""The object store itself; what only looks at an address need not wait for boto3 to be imported."""

from typing import Any

import boto3
from botocore.config import Config

from priorwise.store.addresses import endpoint


def client(config: Config | None = None) -> Any:
    """A client of the object store that the environment names."""
    return boto3.client("s3", endpoint_url=endpoint(), config=config)
