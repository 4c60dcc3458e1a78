"""A trained spectra model, ready to predict: a network folder and what it says of itself."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from priorwise.errors import BadInput
from priorwise.learn.network_folder import DESCRIPTION, build_network, read_weights, retell
from priorwise.learn.network_folder import read_description as read_any_description
from priorwise.spectra.encoder import SpectrumClassifier, steady
from priorwise.spectra.settings import SettingsStats

#: what older descriptions do not say
DEFAULTS: dict[str, Any] = {
    "polarity": "both",
    "rule": "",
    "settings_stats": None,
    "priors": {},
    "training_run": "",
}


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
    state = read_weights(folder)
    return SavedModel(build(description["architecture"], state), description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description of a network folder, with the defaults of older ones filled in.

    Raises
    ------
    BadInput
        If there is none, or it says something impossible.
    """
    description = read_any_description(folder, DEFAULTS)
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
        layers = int(architecture.get("n_layers", 1))
    except (TypeError, ValueError) as error:
        raise BadInput(f"weights do not fit the network (n_layers: {error})") from error
    return steady(build_network(lambda: SpectrumClassifier(**architecture), layers, state))


def retold(folder: Path, target: Path, **changes: Any) -> None:
    """Copy a network folder, with other values in its description: the same weights, bit for bit.

    Parameters
    ----------
    folder, target : pathlib.Path
    **changes
        New values of the description, such as threshold and rule.
    """
    retell(folder, target, read_description(folder), **changes)
