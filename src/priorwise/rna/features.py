"""Feature maps of sequences: pair probabilities of thermodynamic models."""

from collections.abc import Sequence
from typing import get_args

from priorwise.errors import BadInput
from priorwise.rna.baselines import Parameters, each_pair_probabilities
from priorwise.rna.batches import FeatureMaps


def feature_maps(
    sequences: Sequence[str], parameter_sets: Sequence[str], *, workers: int | None = None
) -> FeatureMaps | None:
    """Pair probabilities of each sequence by each parameter set of ViennaRNA.

    Parameters
    ----------
    sequences : sequence of str
        Normalised.
    parameter_sets : sequence of str
        In the order in which a network was trained with them; none gives no maps.
    workers : int, optional
        Processes; see `baselines.each_pair_probabilities`.

    Raises
    ------
    BadInput
        If ViennaRNA is not installed, or does not know a parameter set.
    """
    known: tuple[Parameters, ...] = get_args(Parameters)
    maps = FeatureMaps(len(sequences), len(parameter_sets))
    for place, wanted in enumerate(parameter_sets):
        name = next((name for name in known if name == wanted), None)
        if name is None:
            raise BadInput(f"features: {wanted} (expected some of {', '.join(known)})")
        for row, found in enumerate(each_pair_probabilities(sequences, name, workers=workers)):
            maps.put(row, place, found)
    return maps if parameter_sets else None
