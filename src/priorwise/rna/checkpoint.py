"""Training checkpoints of the RNA model, and the network folder that is made from one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from priorwise.errors import BadInput
from priorwise.learn.network_folder import first_line, write_model
from priorwise.rna.network import architecture


def kept_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights that were validated: the average, where the training kept one.

    Raises
    ------
    BadInput
        If the file is not such a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # torch raises errors of many kinds for a damaged file
        raise BadInput(f"{path}: not a readable checkpoint ({first_line(error)})") from error
    average = _under("average.", state)
    return average or _under("network.", state)


def save_network(
    checkpoint: Path, folder: Path, network: Mapping[str, Any], description: Mapping[str, Any]
) -> None:
    """Write the network folder of a checkpoint.

    Parameters
    ----------
    checkpoint, folder : pathlib.Path
    network : mapping
        Arguments of `RnaNetwork`.
    description : mapping
        What `saved_model` lists, but the architecture.
    """
    write_model(folder, architecture(**network), kept_weights(checkpoint), description)


def _under(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
