"""What a place for data can do, tried out with an object that is gone afterwards."""

import os
import uuid
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from priorwise.errors import BadInput
from priorwise.store.addresses import bucket_and_key, is_remote
from priorwise.store.damage import is_damage
from priorwise.store.object_store import client
from priorwise.store.orphans import orphans
from priorwise.store.staging import NothingThere, remote_files
from priorwise.store.tables import STAGING

#: HTTP status of a conditional PUT whose condition does not hold
CONDITION_FAILED = 412
_PROBE = ".priorwise-doctor-"
_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})


def keeps_conditions(address: str) -> bool:
    """Whether an object store refuses to write over an object with `If-None-Match: *`.

    Concurrent writers of a Lance table rely on it: a store that ignores the condition lets one
    writer's commit replace another's, and rows are lost without any error.

    Parameters
    ----------
    address : str
        s3://bucket/prefix; an object is written there, twice, and deleted.

    Raises
    ------
    BadInput
        If nothing can be written, read back or deleted there.
    """
    bucket, prefix = bucket_and_key(address)
    key = f"{prefix.rstrip('/')}/{_PROBE}{uuid.uuid4().hex}".lstrip("/")
    try:
        store = client(_PATIENCE)
        store.put_object(Bucket=bucket, Key=key, Body=b"first")
        try:
            kept = _refused(store, bucket, key)
            found = store.get_object(Bucket=bucket, Key=key)["Body"].read()
            return kept and found == b"first"
        finally:
            store.delete_object(Bucket=bucket, Key=key)
    except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:  # of an endpoint
        raise BadInput(f"{address}: cannot be written ({error})") from error


def _refused(store: Any, bucket: str, key: str) -> bool:
    try:
        store.put_object(Bucket=bucket, Key=key, Body=b"second", IfNoneMatch="*")
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == CONDITION_FAILED:
            return True
        raise
    return False


def tables_at(address: str) -> list[str]:
    """Lance tables at an address and below it, sorted.

    Parameters
    ----------
    address : str
        A local folder, searched to any depth and through links, or s3://bucket/prefix.

    Raises
    ------
    BadInput
        If a folder below it, or the store, cannot be read.
    """
    if is_remote(address):
        try:
            files = remote_files(f"{address.rstrip('/')}/")
        except NothingThere:
            return []
        places = [file.address.partition("/_versions/") for file in files]
        return sorted({table for table, inside, _ in places if inside})
    found, seen = [], set()
    for place, folders, _ in os.walk(address, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        if "_versions" in folders and _is_table(Path(place)):
            found.append(place)
    return sorted(found)


def _is_table(folder: Path) -> bool:
    """Whether a folder with versions is one of Lance's; its manifests may be lost."""
    return any((folder / "_versions").glob("*.manifest")) or any(folder.glob("data/*.lance"))


def _refuse(error: OSError) -> None:
    raise BadInput(f"{error.filename}: cannot be read ({error.strerror or error})") from error


def orphan_bytes(folder: str) -> tuple[int, int]:
    """What killed writers left below a folder of tables: number of files, and bytes.

    Counted are folders that were being filled, and files among a table's data that none of its
    versions names. Nobody reads them. A writer at work has such files, too.

    Parameters
    ----------
    folder : str
        A local folder, searched to any depth.

    Raises
    ------
    BadInput
        If it is remote, or not there.
    """
    root = Path(folder)
    if is_remote(folder) or not root.is_dir():
        raise BadInput(f"data: {folder}: expected a local folder")
    left: set[Path] = set()
    for place in root.rglob(f"{STAGING}*"):
        left |= {path for path in place.rglob("*") if path.is_file()}
    for table in tables_at(folder):
        try:
            found = orphans(table)
        except BaseException as error:  # a table that cannot be opened is not ours to count
            if isinstance(error, BadInput) or is_damage(error):
                continue
            raise
        left |= {orphan.path for orphan in found if orphan.path.is_file()}
    return len(left), sum(path.stat().st_size for path in left)
