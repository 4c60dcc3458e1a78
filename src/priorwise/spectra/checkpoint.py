"""Weights on disk: the published checkpoint form, and a safetensors pair without any pickle."""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors.torch import load_file, save_file

from priorwise.errors import BadInput
from priorwise.spectra.encoder import SpectrumClassifier

ARCHITECTURE = ("d_model", "n_layers", "dropout", "hidden_fc1", "instrument_embedding_dim")
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Architecture and weights of a checkpoint, ours or a published one.

    Raises
    ------
    BadInput
        If the file cannot be read as plain tensors and numbers, or lacks a part.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        hparams, state = content["hyper_parameters"], content["state_dict"]
        architecture = {key: hparams[key] for key in ARCHITECTURE if key in hparams}
    except (OSError, EOFError, RuntimeError, BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not a readable checkpoint ({_reason(error)})") from error
    except Exception as error:  # the unpickler's own error class needs an import of pickle
        raise BadInput(f"{path}: holds more than tensors and numbers; refused") from error
    return architecture, state


def build(architecture: dict[str, Any], state: dict[str, torch.Tensor]) -> SpectrumClassifier:
    """The network with these weights, ready to predict."""
    network = SpectrumClassifier(**architecture)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise BadInput(f"weights do not fit the network ({_reason(error)})") from error
    return network.eval()


def load_network(path: Path) -> SpectrumClassifier:
    """The network of a checkpoint file or of a folder written by `save_network`."""
    if path.is_dir():
        try:
            architecture = json.loads((path / DESCRIPTION).read_text())["architecture"]
            return build(architecture, load_file(path / WEIGHTS))
        except (OSError, KeyError, ValueError) as error:
            raise BadInput(f"{path}: not a saved model ({_reason(error)})") from error
    return build(*read_checkpoint(path))


def save_network(checkpoint: Path, folder: Path, description: dict[str, Any]) -> None:
    """Write the weights of a checkpoint as safetensors, with a JSON that describes them.

    Parameters
    ----------
    checkpoint : pathlib.Path
    folder : pathlib.Path
        Made if need be.
    description : dict
        Anything worth knowing beside the architecture (phase, polarity, schema, ...).
    """
    architecture, state = read_checkpoint(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / WEIGHTS)
    text = json.dumps({"architecture": architecture, **description}, indent=2)
    (folder / DESCRIPTION).write_text(text)


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
