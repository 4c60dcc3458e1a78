"""A trained RNA model on disk, ready to predict: a network folder and what it says of itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from priorwise.errors import BadInput
from priorwise.learn.network_folder import build_network, read_weights
from priorwise.learn.network_folder import read_description as read_any_description
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.decoding import Decoder
from priorwise.rna.ensemble import AnyRnaNetwork, rna_network
from priorwise.rna.network import SIZES
from priorwise.rna.opinions import MIXTURE
from priorwise.rna.predict import CELLS, Prediction, predict
from priorwise.rna.rows import RnaRows

#: what older descriptions do not say
DEFAULTS: dict[str, Any] = {
    "training_run": "",
    "features": [],
    "training_data": "",
    "rule": "",
    "longest": 0,
    "folding_weight": 0.0,
    "mixture": "",
}


@dataclass(frozen=True)
class SavedRnaModel:
    """A network ready to predict, and its description.

    Attributes
    ----------
    network : RnaNetwork or RnaEnsemble
        In eval mode, in single precision.
    description : dict
        Keys: architecture, decoder, threshold, rule, features, phase, schema, training_run,
        training_data (in words), longest, folding_weight, mixture.
    """

    network: AnyRnaNetwork
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
    def folding_weight(self) -> float:
        """Share of thermodynamics where the network knows nothing, in [0, 1]."""
        return float(self.description["folding_weight"])

    def predict(
        self, rows: RnaRows, features: FeatureMaps | None = None, *, cells: int = CELLS
    ) -> Iterator[Prediction]:
        """Predict rows as this model does: see `predict`."""
        return predict(
            self.network, rows, features, folding_weight=self.folding_weight, cells=cells
        )

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
    weight = description["folding_weight"]
    if not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise BadInput(f"{folder}: not a saved RNA model (folding_weight: expected a share)")
    if weight and description["mixture"] != MIXTURE:
        raise BadInput(
            f"{folder}: mixture: {description['mixture']!r} (expected {MIXTURE}: this version "
            "mixes in thermodynamics in another way than the one that saved the model; train again)"
        )
    # members of an ensemble that take no feature maps do not look at those of the others
    taken = {form.get("n_features", 0) for form in members_of(description["architecture"])}
    if max(taken) != len(features) or len(taken - {0}) > 1:
        told = " and ".join(map(str, sorted(taken)))
        raise BadInput(
            f"{folder}: not a saved RNA model (the network takes {told} feature maps, and "
            f"{len(features)} are named)"
        )
    return description


def build(architecture: dict[str, Any], state: dict[str, torch.Tensor]) -> AnyRnaNetwork:
    """The network with these weights, ready to predict.

    Raises
    ------
    BadInput
        If the weights are not those of such a network, or are not finite.
    """
    layers = sum(_layers(form) for form in members_of(architecture))
    return build_network(lambda: rna_network(architecture), layers, state).eval()


def members_of(architecture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Arguments of the networks that a model is made of: one, or those of an ensemble.

    Raises
    ------
    BadInput
        If an ensemble has no list of them.
    """
    forms = architecture.get("members", [architecture])
    if not isinstance(forms, list) or not forms or not all(isinstance(f, dict) for f in forms):
        raise BadInput("weights do not fit the network (members: expected a list of networks)")
    return forms


def _layers(form: Mapping[str, Any]) -> int:
    """How many layers a file asks for."""
    size = str(form.get("model_size"))
    if size not in SIZES:
        raise BadInput(f"weights do not fit the network (model_size {size!r} is unknown)")
    dilations = form.get("pair_dilations", ())
    if not isinstance(dilations, list | tuple):
        raise BadInput("weights do not fit the network (pair_dilations: expected a list)")
    return SIZES[size][2] + len(dilations)
