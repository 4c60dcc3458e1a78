"""A stand-in S3 on this machine, and the variables that lead a user's tools to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer


@contextmanager
def stand_in_s3() -> Iterator[dict[str, str]]:
    """Environment variables of a running stand-in."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {
            "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.stop()


def bucket_of_a_user(
    variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, bucket: str
) -> Any:
    """Make a bucket, as a user whose shell has the variables; a client of the store."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=variables["MLFLOW_S3_ENDPOINT_URL"])
    client.create_bucket(Bucket=bucket)
    return client
