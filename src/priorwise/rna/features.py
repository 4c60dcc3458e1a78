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
    if not parameter_sets:
        return None
    known: tuple[Parameters, ...] = get_args(Parameters)
    unknown = [name for name in parameter_sets if name not in known]
    if unknown:
        raise BadInput(f"features: {unknown[0]} (expected some of {', '.join(known)})")
    wanted = [name for given in parameter_sets for name in known if name == given]
    maps = FeatureMaps(len(sequences), len(wanted))
    for row, found in enumerate(each_pair_probabilities(sequences, wanted, workers=workers)):
        for place, cells in enumerate(found):
            maps.put(row, place, cells)
    return maps
