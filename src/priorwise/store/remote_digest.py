"""Digest of a table's rows, written beside a table in an object store.

Digests of its files would need every object read once more; that of the rows is made while they are
written, and compared when they are read.
"""

import re

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from priorwise.errors import BadInput
from priorwise.store.addresses import bucket_and_key
from priorwise.store.object_store import client

NAME = "_rows.digest"
#: bytes that are read, and what they are: a version, and the digest of its rows
LONGEST, _KEPT = 100, re.compile(rb"(\d{1,18}) ([0-9a-f]{32})\n\Z")


def write_rows_digest(uri: str, version: int, digest: str) -> None:
    """Keep the digest of the rows of a version.

    Raises
    ------
    BadInput
        If it cannot be written.
    """
    bucket, key = bucket_and_key(f"{uri.rstrip('/')}/{NAME}")
    try:
        client().put_object(Bucket=bucket, Key=key, Body=f"{version} {digest}\n".encode())
    except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:  # of an endpoint
        raise BadInput(f"{uri}/{NAME}: cannot be written ({error})") from error


def rows_digest(uri: str, version: int) -> str:
    """Digest of the rows of a version as it was written; empty if it is not on record.

    Raises
    ------
    BadInput
        If the store does not answer, or what is on record is no digest.
    """
    bucket, key = bucket_and_key(f"{uri.rstrip('/')}/{NAME}")
    try:
        text = client().get_object(Bucket=bucket, Key=key)["Body"].read(LONGEST)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            return ""
        raise BadInput(f"{uri}/{NAME}: cannot be read ({error})") from error
    except (Boto3Error, BotoCoreError, ValueError) as error:  # of an endpoint
        raise BadInput(f"{uri}/{NAME}: cannot be read ({error})") from error
    kept = _KEPT.match(text)
    if kept is None:
        raise BadInput(f"{uri}/{NAME}: is damaged (expected the digest that was written there)")
    return kept[2].decode() if int(kept[1]) == version else ""
