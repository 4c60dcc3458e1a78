"""A trained model on disk: safetensors weights and a JSON that says all else. No pickle, no MLflow.

This *network folder* is what every way of scoring reads: `predict`, `score`, the pyfunc model.
"""

import json
import math
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from priorwise.errors import BadInput
from priorwise.spectra.encoder import SpectrumClassifier, steady
from priorwise.spectra.settings import SettingsStats

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
#: where the two classes are cut if nobody chose a threshold
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class SavedModel:
    """A network ready to predict, and its description.

    Attributes
    ----------
    network : SpectrumClassifier
        In eval mode.
    description : dict
        Keys: architecture, phase, polarity, schema, training_run, threshold, rule,
        settings_stats, priors, training_data (in words).
    """

    network: SpectrumClassifier
    description: dict[str, Any]

    @property
    def polarity(self) -> str:
        """What it was trained on: both, positive or negative."""
        return str(self.description["polarity"])

    @property
    def modes(self) -> tuple[str, ...]:
        """The polarities it knows."""
        return ("positive", "negative") if self.polarity == "both" else (self.polarity,)

    @property
    def threshold(self) -> float:
        """A scan is called identifiable if its probability is at least this; in [0, 1]."""
        return float(self.description["threshold"])

    @property
    def rule(self) -> str:
        """How the threshold was chosen; empty for the default."""
        return str(self.description["rule"])

    @property
    def priors(self) -> dict[str, dict[str, Any]]:
        """c, s and pi by polarity; empty for a model that was trained without priors."""
        return dict(self.description["priors"])

    @cached_property
    def stats(self) -> SettingsStats | None:
        """Mean and deviation of the training table's numeric settings, where known."""
        stats = self.description["settings_stats"]
        return SettingsStats.from_json(json.dumps(stats), DESCRIPTION) if stats else None


def load_saved_model(folder: Path) -> SavedModel:
    """Read a network folder.

    Raises
    ------
    BadInput
        If it is not one, or its parts do not fit together.
    """
    description = read_description(folder)
    try:
        state = load_file(folder / WEIGHTS)
        network = build(description["architecture"], state)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{folder}: not a saved model ({first_line(error)})") from error
    return SavedModel(network, description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description of a network folder, with the defaults of older ones filled in.

    Raises
    ------
    BadInput
        If there is none, or it says something impossible.
    """
    try:
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        description = {
            "polarity": "both",
            "threshold": DEFAULT_THRESHOLD,
            "rule": "",
            "settings_stats": None,
            "priors": {},
            "training_run": "",
            **found,
        }
        architecture, threshold = description["architecture"], float(description["threshold"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{folder}: not a saved model ({first_line(error)})") from error
    if not isinstance(architecture, dict):
        raise BadInput(f"{folder}: not a saved model (architecture: expected an object)")
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise BadInput(f"{folder}: threshold {threshold} (expected a number in [0, 1])")
    if description["polarity"] not in ("both", "positive", "negative"):
        raise BadInput(f"{folder}: polarity {description['polarity']!r} is not one")
    return description


def build(architecture: dict[str, Any], state: dict[str, torch.Tensor]) -> SpectrumClassifier:
    """The network with these weights, ready to predict.

    Raises
    ------
    BadInput
        If the weights are not those of such a network, or are not finite.
    """
    try:
        _check_fit(architecture, state)
        network = SpectrumClassifier(**architecture)
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise BadInput(f"weights do not fit the network ({first_line(error)})") from error
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise BadInput(f"weights {name}: not all of them are finite")
    return steady(network)


def _check_fit(architecture: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    """Compare names and shapes before memory is taken: a file may ask for any size.

    Raises
    ------
    ValueError
        Naming the first weight that does not fit.
    """
    layers = int(architecture.get("n_layers", 1))
    if layers > len(state):
        raise ValueError(f"n_layers is {layers}, and there are {len(state)} weights in all")
    with torch.device("meta"):  # shapes without numbers
        wanted = SpectrumClassifier(**architecture).state_dict()
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


def write_model(
    folder: Path,
    architecture: dict[str, Any],
    state: dict[str, torch.Tensor],
    description: dict[str, Any],
) -> None:
    """Write a network folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    # copies: the file format refuses weights that share their memory
    own = {key: value.detach().contiguous().clone() for key, value in state.items()}
    save_file(own, folder / WEIGHTS)
    _write_description(folder, {"architecture": architecture, **description})


def retold(folder: Path, target: Path, **changes: Any) -> None:
    """Copy a network folder, with other values in its description: the same weights, bit for bit.

    Parameters
    ----------
    folder, target : pathlib.Path
    **changes
        New values of the description, such as threshold and rule.
    """
    description = read_description(folder)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / WEIGHTS, target / WEIGHTS)
    _write_description(target, {**description, **changes})


def _write_description(folder: Path, description: dict[str, Any]) -> None:
    text = json.dumps(description, indent=2, sort_keys=True)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
