"""Bringing s3:// inputs to a local folder for readers that need files."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from priorwise.errors import BadInput
from priorwise.store.tables import is_remote


@contextmanager
def staged(address: str) -> Iterator[str]:
    """Give a local path for `address`, downloading an s3:// object or prefix for the time of use.

    Parameters
    ----------
    address : str
        A local path (given back as it is) or s3://bucket/prefix.

    Raises
    ------
    BadInput
        If nothing lies at the address, or it cannot be read.
    """
    if not is_remote(address):
        yield address
        return
    where = urlparse(address)
    prefix = where.path.lstrip("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("MLFLOW_S3_ENDPOINT_URL")
    with tempfile.TemporaryDirectory(prefix="priorwise-") as folder:
        count = 0
        try:
            client = boto3.client("s3", endpoint_url=endpoint)
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=where.netloc, Prefix=prefix
            )
            for item in (item for page in pages for item in page.get("Contents", [])):
                key = PurePosixPath(item["Key"])
                if item["Key"].endswith("/") or ".." in key.parts:
                    continue
                target = Path(folder, *key.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(where.netloc, item["Key"], str(target))
                count += 1
        except (BotoCoreError, ClientError) as error:
            raise BadInput(f"{address}: cannot be read ({error})") from error
        if not count:
            raise BadInput(f"{address}: no object there")
        single = Path(folder, *PurePosixPath(prefix).parts)
        yield str(single if single.is_file() else folder)
