"""Two opinions of each pair: what known structures taught, and what thermodynamics says.

The first knows the families it was trained on and is unsure elsewhere; the second is as good, or as
bad, everywhere. A mixture of both is better than either on sequences of new families.
"""

from typing import NamedTuple

import torch

from priorwise.rna.network import RnaAnswer


class Opinions(NamedTuple):
    """Pair probabilities by both, symmetric, in [0, 1].

    Attributes
    ----------
    learned : torch.Tensor of shape (batch, bases, bases)
    folded : torch.Tensor of shape (batch, bases, bases) or None
        None if the network has no thermodynamic opinion.
    """

    learned: torch.Tensor
    folded: torch.Tensor | None

    def mixed(self, folding_weight: float) -> torch.Tensor:
        """(1 - folding_weight) of the first and folding_weight of the second, if there is one."""
        if self.folded is None or not folding_weight:
            return self.learned
        return self.learned.lerp(self.folded, folding_weight)


def opinions(answer: RnaAnswer, features: torch.Tensor | None = None) -> Opinions:
    """What a network says, and what thermodynamics says: by the maps it was given, or by heart.

    Parameters
    ----------
    answer : RnaAnswer
    features : torch.Tensor of shape (batch, bases, bases, maps), optional
        Pair probabilities by several sets of energies; their mean is the second opinion.
    """
    learned = torch.sigmoid(answer.pairs.float())
    if features is not None:
        return Opinions(learned, features.mean(-1))
    return Opinions(learned, None if answer.folding is None else torch.sigmoid(answer.folding))
