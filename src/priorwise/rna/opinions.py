"""Two opinions of each pair: what known structures taught, and what thermodynamics says.

The first knows the families it was trained on and is unsure elsewhere; the second is as good, or as
bad, everywhere. So the second one is listened to in so far as the first is in doubt: a mixture of
both is better than either on sequences of new families, and costs nothing on those of known ones.
"""

from typing import NamedTuple

import torch

from priorwise.rna.doubt import Array, doubt
from priorwise.rna.network import RnaAnswer

#: what `mixed` does, as saved models name it
MIXTURE = "doubt"


def mixed(learned: Array, folded: Array, folding_weight: float) -> Array:
    """Pair probabilities by both opinions.

    The second one's share is folding_weight times the square of the first one's doubt: little
    doubt is no reason to ask, much is.

    Parameters
    ----------
    learned, folded : torch.Tensor or numpy.ndarray of shape (..., L, L)
    folding_weight : float
        In [0, 1]: share of the second opinion where the first one knows nothing.
    """
    share = folding_weight * doubt(learned)[..., None, None] ** 2
    return learned + share * (folded - learned)


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
        """Both (see `mixed`); the first alone if there is no second one."""
        if self.folded is None or not folding_weight:
            return self.learned
        return mixed(self.learned, self.folded, folding_weight)


def opinions(
    answer: RnaAnswer, present: torch.Tensor, features: torch.Tensor | None = None
) -> Opinions:
    """What a network says, and what thermodynamics says: by the maps it was given, or by heart.

    Parameters
    ----------
    answer : RnaAnswer
    present : torch.Tensor of shape (batch, bases), bool
        Which columns are bases; pairs of others are 0.
    features : torch.Tensor of shape (batch, bases, bases, maps), optional
        Pair probabilities by several sets of energies; their mean is the second opinion.
    """
    learned = torch.sigmoid(answer.pairs.float()) * (present[:, :, None] & present[:, None])
    if features is not None:
        return Opinions(learned, features.mean(-1))
    return Opinions(learned, None if answer.folding is None else torch.sigmoid(answer.folding))
