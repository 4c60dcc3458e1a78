"""Training checkpoints of the RNA model."""

from collections.abc import Mapping
from pathlib import Path

import torch

from priorwise.errors import BadInput
from priorwise.learn.checkpoint_file import read_plain
from priorwise.learn.network_folder import first_line


def kept_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights that were validated: the average, where the training kept one.

    Raises
    ------
    BadInput
        If the file is not such a checkpoint.
    """
    try:
        state = read_plain(path)["state_dict"]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a readable checkpoint (lacks {first_line(error)})") from error
    average = _under("average.", state)
    return average or _under("network.", state)


def _under(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
