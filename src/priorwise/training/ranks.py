"""Which of the processes of one training this is.

Lightning starts the processes of a node itself, so a training is one command on each node: with
MASTER_ADDR and MASTER_PORT, where the first node listens, and NODE_RANK, counted from 0.
"""

import os

import torch

#: set for the ranks that Lightning starts, and to be forgotten after a fit
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def processes(devices: int) -> int:
    """How many processes train on each node: `devices`, or for 0 one per accelerator."""
    return devices or max(1, torch.cuda.device_count())


def rank_of_process(devices: int) -> int:
    """Number of this process among those of all nodes, each of which has as many."""
    return node_rank() * processes(devices) + local_rank()


def node_rank() -> int:
    """Number of this node, from NODE_RANK."""
    return int(os.environ.get("NODE_RANK") or 0)


def local_rank() -> int:
    """Number of this process on its node, from LOCAL_RANK."""
    return int(os.environ.get("LOCAL_RANK") or 0)
