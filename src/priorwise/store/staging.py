"""Bringing s3:// inputs to a local folder for readers that need files."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from priorwise.errors import BadInput
from priorwise.store.addresses import bucket_and_key, is_remote
from priorwise.store.object_store import client

#: characters of a staged copy's name: at most 4 bytes each, and a name may have 255
_NAME_CHARS = 60


class NothingThere(BadInput):
    """A store answers that it has nothing at an address."""


@dataclass(frozen=True)
class RemoteFile:
    """One object of a store.

    Attributes
    ----------
    address : str
        s3://bucket/key.
    size : int
        Bytes.
    version : str
        The store's own tag of the content: another content has another one.
    """

    address: str
    size: int
    version: str

    @property
    def key(self) -> PurePosixPath:
        """Key within the bucket."""
        return PurePosixPath(bucket_and_key(self.address)[1])


def remote_files(address: str) -> list[RemoteFile]:
    """Objects at an address, sorted by key: the one of that very key, else those below it.

    Parameters
    ----------
    address : str
        s3://bucket/key or s3://bucket/prefix. Keys that cannot be a path below a folder (with ".."
        or a NUL in them) are left out.

    Raises
    ------
    BadInput
        If nothing lies there, or the store does not answer.
    """
    scheme = address.partition("://")[0]
    bucket, prefix = bucket_and_key(address)
    found = []
    try:
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for item in (item for page in pages for item in page.get("Contents", [])):
            key = item["Key"]
            if key.endswith("/") or ".." in PurePosixPath(key).parts or "\0" in key:
                continue
            place = f"{scheme}://{bucket}/{key}"
            found.append(RemoteFile(place, int(item["Size"]), item["ETag"].strip('"')))
    except (BotoCoreError, ClientError, ValueError) as error:  # of an endpoint: ValueError
        raise BadInput(f"{address}: cannot be read ({error})") from error
    if not found:
        raise NothingThere(f"{address}: no object there")
    return [file for file in found if file.address == address] or found


@contextmanager
def staged_file(file: RemoteFile, folder: Path | None = None) -> Iterator[Path]:
    """Give a local copy of one object, deleted afterwards.

    Parameters
    ----------
    file : RemoteFile
    folder : pathlib.Path, optional
        Where the copy lies meanwhile (the system's own place if not given).

    Raises
    ------
    BadInput
        If it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="priorwise-", dir=folder) as place:
        # a key may be longer than a file name; its end tells the format
        target = Path(place, file.key.name[-_NAME_CHARS:])
        _download(file, target)
        yield target


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
    files = remote_files(address)
    with tempfile.TemporaryDirectory(prefix="priorwise-") as folder:
        for file in files:
            _download(file, _below(folder, file))
        yield str(_below(folder, files[0]) if files[0].address == address else folder)


def _below(folder: str, file: RemoteFile) -> Path:
    """Where a key lies below a folder; one that begins with a slash stays there, too."""
    parts = [part for part in file.key.parts if part.strip("/")]
    return Path(folder, *parts)


def _download(file: RemoteFile, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)  # fails if a key is below another one
        client().download_file(*bucket_and_key(file.address), str(target))
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise BadInput(f"{file.address}: cannot be read ({error})") from error
