"""A network on disk: safetensors weights and a JSON that says all else. No pickle, no MLflow.

This *network folder* is what every way of scoring reads, of every pipeline.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from priorwise.errors import BadInput

N = TypeVar("N", bound=nn.Module)
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
#: of both classes, if nobody chose a threshold
DEFAULT_THRESHOLD = 0.5


def write_model(
    folder: Path,
    architecture: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    description: Mapping[str, Any],
) -> None:
    """Write a network folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    # copies: the file format refuses weights that share their memory
    own = {key: value.detach().contiguous().clone() for key, value in state.items()}
    save_file(own, folder / WEIGHTS)
    _write_description(folder, {"architecture": dict(architecture), **description})


def read_description(folder: Path, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the description of a network folder, with the defaults of older ones filled in.

    Raises
    ------
    BadInput
        If there is none, or architecture or threshold are impossible.
    """
    try:
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        description = {"threshold": DEFAULT_THRESHOLD, **(defaults or {}), **found}
        architecture, threshold = description["architecture"], float(description["threshold"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{folder}: not a saved model ({first_line(error)})") from error
    if not isinstance(architecture, dict):
        raise BadInput(f"{folder}: not a saved model (architecture: expected an object)")
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise BadInput(f"{folder}: threshold {threshold} (expected a number in [0, 1])")
    return description


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a network folder.

    Raises
    ------
    BadInput
        If there are none, or the file is damaged.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{folder}: not a saved model ({first_line(error)})") from error


def build_network(make: Callable[[], N], layers: int, state: Mapping[str, torch.Tensor]) -> N:
    """The network with these weights.

    Parameters
    ----------
    make : callable
        Makes the network that the architecture describes.
    layers : int
        How many layers that is: a file may ask for any number.
    state : mapping of name to torch.Tensor

    Raises
    ------
    BadInput
        If the weights are not those of such a network, or are not finite.
    """
    try:
        if layers > len(state):
            raise ValueError(f"n_layers is {layers}, and there are {len(state)} weights in all")
        _check_fit(make, state)
        network = make()
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise BadInput(f"weights do not fit the network ({first_line(error)})") from error
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise BadInput(f"weights {name}: not all of them are finite")
    return network


def _check_fit(make: Callable[[], nn.Module], state: Mapping[str, torch.Tensor]) -> None:
    """Compare names and shapes before memory is taken: a file may ask for any size.

    Raises
    ------
    ValueError
        Naming the first weight that does not fit.
    """
    with torch.device("meta"):  # shapes without numbers
        wanted = make().state_dict()
    for name in [*wanted, *state]:
        if name not in state:
            raise ValueError(f"{name} is missing")
        if name not in wanted:
            raise ValueError(f"{name} is not one of its weights")
        found, shape = state[name], tuple(wanted[name].shape)
        plain = isinstance(found, torch.Tensor) and found.layout == torch.strided
        if not plain or found.is_quantized or found.is_meta or found.is_complex():
            raise ValueError(f"{name} is no plain tensor of real numbers")
        if tuple(found.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(found.shape)}, expected {shape}")


def retell(folder: Path, target: Path, description: Mapping[str, Any], **changes: object) -> None:
    """Copy a network folder, with other values in its description: the same weights, bit for bit.

    Parameters
    ----------
    folder, target : pathlib.Path
    description : mapping
        Of `folder`.
    **changes
        New values of the description, such as threshold and rule.
    """
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / WEIGHTS, target / WEIGHTS)
    _write_description(target, {**description, **changes})


def _write_description(folder: Path, description: Mapping[str, Any]) -> None:
    text = json.dumps(description, indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
