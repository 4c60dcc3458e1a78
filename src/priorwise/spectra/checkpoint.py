"""Training checkpoints, ours or published ones: tensors and plain numbers, nothing that runs."""

from pathlib import Path
from typing import Any

import torch

from priorwise.errors import BadInput
from priorwise.learn.checkpoint_file import read_plain
from priorwise.learn.network_folder import first_line, write_model
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.saved_model import build, load_saved_model

ARCHITECTURE = ("d_model", "n_layers", "dropout", "hidden_fc1", "instrument_embedding_dim")


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Architecture and weights of a checkpoint, ours or a published one.

    Raises
    ------
    BadInput
        If the file cannot be read as plain tensors and numbers, or lacks a part.
    """
    content = read_plain(path)
    try:
        hparams, state = content["hyper_parameters"], content["state_dict"]
        architecture = {key: hparams[key] for key in ARCHITECTURE if key in hparams}
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a readable checkpoint (lacks {first_line(error)})") from error
    return architecture, state


def load_network(path: Path) -> SpectrumClassifier:
    """The network of a checkpoint file or of a network folder."""
    if path.is_dir():
        return load_saved_model(path).network
    return build(*read_checkpoint(path))


def save_network(checkpoint: Path, folder: Path, description: dict[str, Any]) -> None:
    """Write the weights of a checkpoint as a network folder (see `saved_model`)."""
    architecture, state = read_checkpoint(checkpoint)
    write_model(folder, architecture, state, description)
