"""Kills, flipped bytes and concurrent appends, many times over: what was lost, what went unnoticed.

    python -m benchmarks.soak_files            # the figures of the issue: about 15 minutes
    python -m benchmarks.soak_files --n 5

Simulated data only. Each kill is a SIGKILL at a random time of a whole `bce_pretrain`, in a process
of its own, which is then resumed; its numbers are compared bit by bit with those of an undisturbed
one.
"""

import argparse
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lance
import pandas as pd
import pyarrow as pa
import torch

from benchmarks.report import aligned
from priorwise import cli
from priorwise.durable import damage
from priorwise.errors import BadInput
from priorwise.learn.plain_checkpoint import read_plain
from priorwise.phases import bce_pretrain, simulate
from priorwise.spectra.facts import inspect
from priorwise.store.addresses import storage_options
from priorwise.store.file_digests import NOT_LISTED
from priorwise.store.tables import open_pinned

TRAINING = (
    *("--batch_size=32", "--d_model=16", "--n_layers=1", "--encoder_lr=0.003", "--linear_lr=0.003"),
    *("--monitor=val_loss", "--epochs=8", "--patience=9", "--degenerate_patience=0"),
)
TABLES = ("--n_train=400", "--n_validation=150", "--n_test=50", "--max_peaks=16")
ROWS = 50  # of an append
BUCKET = "soak"
#: kept in the parent, so that its children need not import them
WARM = (bce_pretrain, simulate)


@dataclass(frozen=True)
class Line:
    """A row of the table: what was done how often, and how often it went well."""

    what: str
    done: int
    well: int
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.done == self.well


class Place:
    """A folder with a store of its own, in which phases run in forked processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "mlflow.db"
        folder.mkdir(parents=True)

    def start(self, phase: str, *flags: str) -> int:
        """Start a phase; its process."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.chdir(self.folder)
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{self.store}"
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
            out = os.open(self.folder / "out.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = cli._run(phase, list(flags))
            sys.stdout.flush()
        finally:
            os._exit(code)

    def run(self, phase: str, *flags: str) -> None:
        """Run a phase to its end."""
        status = os.waitpid(self.start(phase, *flags), 0)[1]
        if status:
            tail = (self.folder / "out.txt").read_text()[-2000:]
            raise RuntimeError(f"{phase} ended with {status}: {tail}")

    def began(self) -> str:
        """Id of the newest run whose contract is written; empty if there is none."""
        query = (
            "select r.run_uuid from runs r join params p on p.run_uuid = r.run_uuid "
            "where p.key = 'contract.fingerprint' order by r.start_time desc"
        )
        with sqlite3.connect(self.store) as store:
            found = store.execute(query).fetchone()
        store.close()
        return found[0] if found else ""

    def work(self, run: str) -> Path:
        """Where a run works."""
        return self.folder / ".priorwise" / "runs" / run


def left(work: Path) -> dict[str, object]:
    """What a training left: its history, its checkpoints."""
    found: dict[str, object] = {"history": (work / "history.csv").read_bytes()}
    for path in sorted((work / "checkpoints").glob("*.ckpt")):
        if path.name != "previous.ckpt":
            found[path.name] = read_plain(path)["state_dict"]
    return found


def same(found: dict[str, object], expected: dict[str, object]) -> bool:
    """Whether two trainings left the same, bit by bit."""
    if found.keys() != expected.keys() or found["history"] != expected["history"]:
        return False
    states = [(found[name], expected[name]) for name in expected if name != "history"]
    return all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in b)  # type: ignore[attr-defined,index]
        for a, b in states
    )


def kills(n: int, folder: Path, draw: random.Random, say: Callable[[str], None]) -> list[Line]:
    """SIGKILL a training at a random time, n times; each is resumed."""
    tables = folder / "tables"
    whole = Place(folder / "whole")
    whole.run("simulate", f"--out={tables}", *TABLES)
    flags = (f"--data={tables}", *TRAINING)
    began = time.monotonic()
    pid = whole.start("bce_pretrain", *flags)
    while not (run := whole.store.exists() and whole.began()) or not whole.work(run).exists():
        time.sleep(0.05)
    first = time.monotonic()
    assert os.waitpid(pid, 0)[1] == 0
    lasts = time.monotonic() - first
    say(f"undisturbed: {time.monotonic() - began:.1f} s, {lasts:.1f} s of them from its first step")
    expected = left(whole.work(run))
    readable = equal = caught = 0
    for k in range(n):
        place = Place(folder / f"kill{k}")
        shutil.copy(whole.store, place.store)  # a store is made once
        pid = place.start("bce_pretrain", *flags)
        before = run
        while place.began() == before:
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise RuntimeError((place.folder / "out.txt").read_text()[-2000:])
            time.sleep(0.02)
        time.sleep(draw.uniform(0, lasts))
        os.kill(pid, signal.SIGKILL)
        caught += os.waitpid(pid, 0)[1] == signal.SIGKILL
        killed = place.began()
        checkpoints = place.work(killed) / "checkpoints"
        there = list(checkpoints.glob("*.ckpt"))
        readable += all(damage(path) is None for path in there)
        place.run("bce_pretrain", f"--resume={killed}", *flags)
        good = same(left(place.work(killed)), expected)
        equal += good
        if (k + 1) % 10 == 0 or not good:
            say(f"kill {k + 1}/{n}: {equal} equal, {readable} with sound checkpoints")
        if good:
            shutil.rmtree(place.folder)
    note = f"{caught} before its end"
    return [
        Line("SIGKILL, resumed: history and weights bitwise equal", n, equal, note),
        Line("SIGKILL: every checkpoint readable", n, readable),
    ]


def flips(n: int, folder: Path, draw: random.Random) -> list[Line]:
    """Flip one bit of a table, and of a checkpoint, n times each: is it noticed before its use?"""
    table, noticed, named = folder / "tables" / "train_data", 0, 0
    files = sorted(
        path.relative_to(table)
        for path in table.rglob("*")
        if path.is_file() and path.name not in NOT_LISTED
    )
    weights = [(table / name).stat().st_size for name in files]
    for k in range(n):
        # half of them by the share of bytes, half in any of the files
        name = draw.choices(files, weights if k % 2 else None)[0]
        copy = folder / f"flip{k}" / "train_data"
        shutil.copytree(table, copy)
        _flip(copy / name, draw)
        try:
            inspect(str(copy.parent), "train_data")
        except BadInput as error:
            noticed += 1
            named += str(name.name) in str(error)
        shutil.rmtree(copy.parent)
    lines = [Line("bit flipped in a table: noticed before training", n, noticed, f"{named} named")]
    (source,) = folder.glob("whole/.priorwise/runs/*/checkpoints")
    noticed = 0
    names = sorted(path.name for path in source.glob("*.ckpt"))
    for k in range(n):
        copy = folder / f"checkpoints{k}"
        shutil.copytree(source, copy)
        path = copy / names[k % len(names)]
        _flip(path, draw)
        try:
            read_plain(path)
        except BadInput as error:
            noticed += path.name in str(error)
        shutil.rmtree(copy)
    return [*lines, Line("bit flipped in a checkpoint: noticed when it is read", n, noticed)]


def _flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def append(uri: str, writer: int, together: object) -> None:
    """Append rows to a table when all are ready."""
    rows = pa.table({"writer": [writer] * ROWS, "row": list(range(ROWS))})
    together.wait(300)  # type: ignore[attr-defined]
    lance.write_dataset(rows, uri, mode="append", storage_options=storage_options(uri))


def appends(n: int) -> list[Line]:
    """Append to one table in a stand-in S3 from n processes at once."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket=BUCKET)
        uri = f"s3://{BUCKET}/table"
        empty = pa.table({"writer": pa.array([], pa.int64()), "row": pa.array([], pa.int64())})
        lance.write_dataset(empty, uri, storage_options=storage_options(uri))
        context = multiprocessing.get_context("spawn")
        together = context.Barrier(n)
        writers = [context.Process(target=append, args=(uri, k, together)) for k in range(n)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        rows = open_pinned(uri).dataset.to_table().to_pylist()
        there = {(row["writer"], row["row"]) for row in rows}
        whole = sum(all((k, row) in there for row in range(ROWS)) for k in range(n))
        note = f"{len(rows)} of {n * ROWS} rows, {sum(w.exitcode != 0 for w in writers)} refused"
        sound = whole if len(rows) == n * ROWS else 0
        return [Line("concurrent Lance appends on a stand-in S3: all rows there", n, sound, note)]
    finally:
        server.stop()
        os.environ.clear()
        os.environ.update(before)


def soak(
    n_kills: int, n_flips: int, n_appends: int, seed: int, say: Callable[[str], None]
) -> list[Line]:
    """Do it all, in a folder of its own."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        folder = Path(scratch)
        lines = kills(n_kills, folder, draw, say)
        here = Path.cwd()
        os.chdir(folder)  # what was found right is noted there
        try:
            lines += flips(n_flips, folder, draw)
        finally:
            os.chdir(here)
    return [*lines, *appends(n_appends)]


def main(n: int = 100, seed: int = 1) -> int:
    """Print the table; 1 if anything was lost or went unnoticed.

    Parameters
    ----------
    n : int
        Kills; 0.8 n flips each in tables and checkpoints, n / 5 writers at once.
    seed : int
    """
    began = time.monotonic()
    flipped, writers = max(n * 4 // 5, 1), max(n // 5, 2)
    lines = soak(n, flipped, writers, seed, lambda line: print(line, flush=True))
    print(aligned(pd.DataFrame([asdict(line) for line in lines]).astype(str)))
    print(f"seed {seed}, {time.monotonic() - began:.0f} s")
    return 0 if all(line.passed for line in lines) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    raise SystemExit(main(chosen.n, chosen.seed))
