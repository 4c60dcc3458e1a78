"""What `doctor` looks at, one examination after the other; each says what to do."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import yaml

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.desk import WORK_FOLDER, say
from priorwise.store.addresses import is_remote
from priorwise.store.probes import keeps_conditions, orphan_bytes, tables_at
from priorwise.store.protection import TAG, protections
from priorwise.store.table_check import Compared, check_files, check_rows
from priorwise.store.tables import open_pinned
from priorwise.tracking import health
from priorwise.tracking.fingerprint import PROJECT_ROOT

GB = 10**9
#: bytes of orphans that are worth a word
MANY = 10**6


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes
    ----------
    name : str
    state : str
        ok; warn = works, but look at it; bad = data would be lost, or runs would fail.
    found : str
    todo : str
        Empty if nothing is to be done.
    code : int
        Exit code that a bad one calls for: 2, or 4 of a store.
    """

    name: str
    state: Literal["ok", "warn", "bad"]
    found: str
    todo: str = ""
    code: int = 2


def of_environment() -> Iterator[Check]:
    """Python, the pinned packages, and MLflow's switch for pickles."""
    has = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    try:
        wanted = yaml.safe_load((PROJECT_ROOT / "conda.yaml").read_text())["dependencies"]
    except OSError:
        yield Check("pins", "warn", f"no conda.yaml in {PROJECT_ROOT}", "run in a checkout")
        return
    python = next(e.partition("=")[2] for e in wanted if str(e).startswith("python="))
    same = has.startswith(f"{python}.")
    advice = "" if same else f"the tests run on Python {python}: make setup"
    yield Check("python", "ok" if same else "warn", has, advice)
    pins = next(entry["pip"] for entry in wanted if isinstance(entry, dict))
    other = [text for pin in pins if (text := _difference(pin))]
    if other:
        yield Check("pins", "warn", _few(other), "make setup, or the environment of conda.yaml")
    else:
        yield Check("pins", "ok", f"{len(pins)} packages as pinned")
    if health.pickle_is_forbidden():
        yield Check("pickle", "ok", "MLflow refuses models that are pickles")
    else:
        todo = "export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false"
        yield Check("pickle", "bad", "MLflow loads models that are pickles", todo)


def _difference(pin: str) -> str:
    name, _, wanted = re.sub(r"\[.*?\]", "", pin).partition("==")
    try:
        found = version(name).partition("+")[0]  # a local build calls itself 2.13.0+cpu
    except PackageNotFoundError:
        return f"{name} is missing"
    return "" if found == wanted else f"{name} {found} (pinned: {wanted})"


def _few(texts: list[str]) -> str:
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return ", ".join(texts[:3]) + more


def of_stores(data: str) -> Iterator[Check]:
    """Tracking store, artifacts, open runs, exposed servers; conditions of object stores."""
    addresses = {data} if is_remote(data) else set()
    if path := health.store_to_be_made():  # to ask it would make it
        folder = Path(path).absolute().parent
        if os.access(folder, os.W_OK):
            yield Check(
                "tracking store", "warn", f"{path}: not there yet", "the first run makes it"
            )
        else:
            todo = "make the folder, or set MLFLOW_TRACKING_URI"
            found = f"{folder}: no folder that can be written to"
            yield Check("tracking store", "bad", found, todo, TrackingFailure.exit_code)
        yield from of_conditions(addresses)
        yield from of_disks([data, str(folder)])
        return
    try:
        client = health.connected()
        experiment = health.experiment_of(client)
    except TrackingFailure as failure:
        todo = "start the server, or set MLFLOW_TRACKING_URI"
        yield Check("tracking store", "bad", str(failure), todo, failure.exit_code)
        yield from of_conditions(addresses)
        return
    yield from of_tracking(client, experiment)
    if is_remote(experiment.artifacts):
        addresses.add(experiment.artifacts)
    yield from of_conditions(addresses)
    yield from of_disks([data, experiment.artifacts, _sqlite_file(client.tracking_uri)])


def of_tracking(client: health.MlflowClient, experiment: health.Experiment) -> Iterator[Check]:
    """The store that answered."""
    uri = health.scrub(client.tracking_uri)
    if experiment.experiment_id:
        yield _tried(
            "tracking store",
            f"{uri}: written, read and deleted",
            lambda: health.write_and_forget(client, experiment),
            "may you write there? is its disk full?",
        )
        yield _tried(
            "artifact store",
            f"{health.scrub(experiment.artifacts)}: written, read and deleted",
            lambda: health.artifact_round_trip(experiment, client),
            "runs would lose models and checkpoints: check keys, folder and server",
        )
    else:
        found = f"{uri}: read; the experiment {experiment.name} is not there yet"
        yield Check("tracking store", "warn", found, "the first run makes it; then ask again")
    left = health.n_open_runs(client, experiment)
    todo = "of processes that are dead: nobody ends them (see `janitor`)"
    yield Check("open runs", "warn" if left else "ok", f"{left} RUNNING", todo if left else "")
    open_to = health.exposures(client.tracking_uri)
    todo = "bind to 127.0.0.1; others only behind HTTPS and a login (SECURITY.md)"
    found = "; ".join(open_to) or "no server of this shell is open to others"
    yield Check("servers", "warn" if open_to else "ok", found, todo if open_to else "")


def _tried(name: str, good: str, attempt: object, todo: str) -> Check:
    try:
        attempt()  # type: ignore[operator]
    except TrackingFailure as failure:
        return Check(name, "bad", str(failure), todo, failure.exit_code)
    return Check(name, "ok", good)


def of_conditions(addresses: set[str]) -> Iterator[Check]:
    """Whether each object store keeps two writers apart."""
    for address in sorted(addresses):
        place = health.scrub(address)
        try:
            kept = keeps_conditions(address)
        except BadInput as failure:
            yield Check("conditional PUT", "bad", str(failure), "check keys, bucket and endpoint")
            continue
        if kept:
            found = f"{place}: an object that is there is not written over (412)"
            yield Check("conditional PUT", "ok", found)
        else:
            found = f"{place}: If-None-Match is ignored, so two writers lose rows without an error"
            todo = "one writer at a time there, or a store that honours it"
            yield Check("conditional PUT", "bad", found, todo)


def of_disks(places: list[str], least_gb: float = 1.0) -> Iterator[Check]:
    """Free space where runs write: this folder, the temporary one, and local stores."""
    local = [str(Path.cwd()), tempfile.gettempdir()]
    for place in places:
        folder = None if not place or is_remote(place) else health.local_folder(place)
        if folder is not None:
            local.append(str(next(p for p in (folder, *folder.parents) if p.exists())))
    seen: dict[int, str] = {}
    for place in local:
        seen.setdefault(os.stat(place).st_dev, place)
    for place in seen.values():
        free = shutil.disk_usage(place).free / GB
        state: Literal["ok", "bad"] = "ok" if free >= least_gb else "bad"
        todo = "" if state == "ok" else f"less than {least_gb:g} GB: a checkpoint may not fit"
        yield Check("disk", state, f"{place}: {free:.1f} GB free", todo)


def of_tables(data: str) -> Iterator[Check]:
    """Every file and row of each table's newest version, and of those that runs need."""
    if not data:
        return
    try:
        tables = tables_at(data)
    except BadInput as failure:
        yield Check("table", "bad", str(failure), "may you read it? nothing below was looked at")
        return
    if not tables:
        todo = "is it the right folder, or prefix?"
        yield Check("table", "warn", f"{health.scrub(data)}: no table in it", todo)
    for table in tables:
        yield from _of_table(table)


def _of_table(table: str) -> Iterator[Check]:
    name = health.scrub(table)
    say(f"reading {name}")
    try:
        kept = protections(table)
        versions = sorted({open_pinned(table).version, *kept.values()})
        files = Compared()
        for version in versions:
            pinned = open_pinned(table, version)
            files |= check_files(pinned, full=True)
            check_rows(pinned)
    except BadInput as damage:
        todo = "bring the file back from a copy, or make the table anew"
        yield Check("table", "bad", str(damage), todo)
        return
    n, others = len(files.sound), len(files.unknown)
    found = f"{name}: version {', '.join(map(str, versions))}: all rows read"
    if is_remote(table):
        found += f", {n} objects as long as they were written"
    elif n:
        found += f", {n} files as they were written"
    if others:
        todo = "nobody would notice a flipped bit there: files that others wrote, or appended"
        yield Check("table", "warn", f"{found}, {others} without a digest", todo)
    else:
        yield Check("table", "ok", found)
    if kept:
        found = f"{name}: versions kept for {_few(sorted(kept))}"
        todo = f"resume them; or forget one: lance.dataset(TABLE).tags.delete('{TAG}RUN')"
        yield Check("kept versions", "warn", found, todo)


def of_orphans(data: str) -> Iterator[Check]:
    """Bytes that killed writers left among tables."""
    for folder in [data, str(WORK_FOLDER)] if data else [str(WORK_FOLDER)]:
        if is_remote(folder) or not Path(folder).is_dir():
            continue
        try:
            files, size = orphan_bytes(folder)
        except BadInput as failure:
            yield Check("orphans", "warn", str(failure), "may you read it? nothing was counted")
            continue
        state: Literal["ok", "warn"] = "warn" if size > MANY else "ok"
        todo = "if no writer is at work, remove them" if state == "warn" else ""
        yield Check("orphans", state, f"{folder}: {files} files, {size / 1e6:.1f} MB", todo)


def _sqlite_file(uri: str) -> str:
    return uri.removeprefix("sqlite:///") if uri.startswith("sqlite:///") else ""
