"""How the first process of a training hands its job to the others.

They do nothing of the phase around it: they wait for the job, which says all, and train. Those on
the same node are started by the first one and inherit the file's path. Other nodes are told it by
PRIORWISE_JOB, a path on a disk that all of them see.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.learn.stopping import StopRequest

JOB_VARIABLE = "PRIORWISE_JOB"
#: what several nodes need to find each other
NODE_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", JOB_VARIABLE)
#: seconds that other nodes wait for the job: checking tables takes its time
PATIENCE = 1800.0
POLL_SECONDS = 0.2


@contextmanager
def hand_over(job: str, place: Path, num_nodes: int) -> Iterator[None]:
    """Let the other processes read the job inside this block.

    Parameters
    ----------
    job : str
    place : pathlib.Path
        Where it is written, unless there are other nodes.
    num_nodes : int

    Raises
    ------
    BadInput
        If there are other nodes, and no way to find them.
    """
    before = os.environ.get(JOB_VARIABLE)
    if num_nodes > 1:
        place = _shared_place(num_nodes)
    place.parent.mkdir(parents=True, exist_ok=True)
    writing = place.with_name(f".{place.name}.{os.getpid()}")
    writing.write_text(job)
    writing.rename(place)  # whoever sees it sees all of it
    os.environ[JOB_VARIABLE] = str(place.resolve())
    try:
        yield
    finally:
        os.environ.pop(JOB_VARIABLE)
        if before is not None:
            os.environ[JOB_VARIABLE] = before
        if num_nodes > 1:
            place.unlink(missing_ok=True)  # another training of the same nodes has another job


def handed_over(stop: StopRequest, patience: float = PATIENCE) -> str:
    """The job, in a process other than the first; waits until it is there.

    Raises
    ------
    BadInput
        If nobody said where, or it does not come.
    Interrupted
        If `stop` was requested.
    """
    where = os.environ.get(JOB_VARIABLE)
    if not where:
        raise BadInput(
            f"NODE_RANK is {os.environ.get('NODE_RANK')} and {JOB_VARIABLE} is not set (expected "
            "the path that the first node has, on a disk that all nodes see)"
        )
    end = time.monotonic() + patience
    while time.monotonic() < end:
        stop.check()
        try:
            return Path(where).read_text()
        except FileNotFoundError:
            time.sleep(POLL_SECONDS)
    raise BadInput(f"{JOB_VARIABLE} {where}: no job came within {patience:g} s from the first node")


def _shared_place(num_nodes: int) -> Path:
    missing = [name for name in NODE_VARIABLES if not os.environ.get(name)]
    if missing:
        raise BadInput(
            f"num_nodes: {num_nodes}, and {' and '.join(missing)} not set (expected in the "
            "environment of every node, with NODE_RANK: slurm/run.sbatch does it)"
        )
    return Path(os.environ[JOB_VARIABLE])
