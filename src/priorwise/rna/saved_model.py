"""A trained RNA model on disk, ready to predict: a network folder and what it says of itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from priorwise.errors import BadInput
from priorwise.learn.network_folder import build_network, read_weights
from priorwise.learn.network_folder import read_description as read_any_description
from priorwise.rna.decoding import Decoder
from priorwise.rna.network import SIZES, RnaNetwork

#: what older descriptions do not say
DEFAULTS: dict[str, Any] = {
    "training_run": "",
    "features": [],
    "training_data": "",
    "rule": "",
    "longest": 0,
}


@dataclass(frozen=True)
class SavedRnaModel:
    """A network ready to predict, and its description.

    Attributes
    ----------
    network : RnaNetwork
        In eval mode, in single precision.
    description : dict
        Keys: architecture, decoder, threshold, rule, features, phase, schema, training_run,
        training_data (in words), longest.
    """

    network: RnaNetwork
    description: dict[str, Any]

    @property
    def decoder(self) -> Decoder:
        """How probabilities become pairs, with the threshold chosen for this model."""
        return Decoder.from_dict({**self.description["decoder"], "threshold": self.threshold})

    @property
    def threshold(self) -> float:
        """Pairs have at least this probability."""
        return float(self.description["threshold"])

    @property
    def features(self) -> tuple[str, ...]:
        """Parameter sets whose pair probabilities the network takes beside the sequence."""
        return tuple(self.description["features"])

    @property
    def longest(self) -> int:
        """Bases of the longest sequence it takes; 0 for no limit."""
        return int(self.description["longest"])


def load_saved_model(folder: Path) -> SavedRnaModel:
    """Read a network folder.

    Raises
    ------
    BadInput
        If it is not one, or its parts do not fit together.
    """
    description = read_description(folder)
    network = build(description["architecture"], read_weights(folder))
    return SavedRnaModel(network, description)


def read_description(folder: Path) -> dict[str, Any]:
    """Read the description of a network folder, with the defaults of older ones filled in.

    Raises
    ------
    BadInput
        If there is none, or it says something impossible.
    """
    description = read_any_description(folder, DEFAULTS)
    try:
        Decoder.from_dict({**description["decoder"], "threshold": description["threshold"]})
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder}: not a saved RNA model (decoder: {error})") from error
    features, longest = description["features"], description["longest"]
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        raise BadInput(f"{folder}: not a saved RNA model (features: expected a list of names)")
    if type(longest) is not int or longest < 0:
        raise BadInput(f"{folder}: not a saved RNA model (longest: expected a number of bases)")
    taken = description["architecture"].get("n_features", 0)
    if taken != len(features):
        raise BadInput(
            f"{folder}: not a saved RNA model (the network takes {taken} feature maps, and "
            f"{len(features)} are named)"
        )
    return description


def build(architecture: dict[str, Any], state: dict[str, torch.Tensor]) -> RnaNetwork:
    """The network with these weights, ready to predict.

    Raises
    ------
    BadInput
        If the weights are not those of such a network, or are not finite.
    """
    size = str(architecture.get("model_size"))
    if size not in SIZES:
        raise BadInput(f"weights do not fit the network (model_size {size!r} is unknown)")
    dilations = architecture.get("pair_dilations", ())
    if not isinstance(dilations, list | tuple):
        raise BadInput("weights do not fit the network (pair_dilations: expected a list)")
    layers = SIZES[size][2] + len(dilations)
    return build_network(lambda: RnaNetwork(**architecture), layers, state).eval()
