"""Several networks that were trained side by side, and their mean answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.rna.network import RnaAnswer, RnaNetwork


class RnaEnsemble(nn.Module):
    """Networks that were trained from different first weights, asked together.

    What they agree on they learned from the table; what only one of them says is often chance, and
    weighs less in the mean (Lakshminarayanan et al. 2017, Deep ensembles, section 2.4).

    Parameters
    ----------
    members : sequence of mapping
        At least one: arguments of each `RnaNetwork`. Those that take feature maps take the same
        ones; the others do not look at them.
    """

    def __init__(self, members: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not members:
            raise ValueError("members: none (expected at least one)")
        self.members = nn.ModuleList(RnaNetwork(**form) for form in members)

    def forward(
        self,
        tokens: torch.Tensor,
        present: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> RnaAnswer:
        """The mean answer; shapes as for `RnaNetwork`."""
        return mean_answer([member(tokens, present, features) for member in self.each])

    def nucleotide_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the mean probabilities of each base's token."""
        return mean_of_choices([member.nucleotide_logits(tokens) for member in self.each])

    @property
    def each(self) -> Sequence[RnaNetwork]:
        """The networks."""
        return [m for m in self.members if isinstance(m, RnaNetwork)]

    @property
    def longest(self) -> int | None:
        """Bases of the longest sequence that all of them take; None for no limit."""
        limits = [member.longest for member in self.each if member.longest is not None]
        return min(limits, default=None)


#: one network or several: both answer in the same way
AnyRnaNetwork = RnaNetwork | RnaEnsemble


def rna_network(architecture: Mapping[str, Any]) -> AnyRnaNetwork:
    """The network, or the ensemble, of an architecture: its arguments."""
    return RnaEnsemble(**architecture) if "members" in architecture else RnaNetwork(**architecture)


def joined_weights(members: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The weights of an ensemble, from those of each member."""
    return {
        f"members.{place}.{name}": value
        for place, state in enumerate(members)
        for name, value in state.items()
    }


def weights_of_members(weights: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The weights of each member again; of a plain network, its own."""
    found: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        if not name.startswith("members."):
            return [dict(weights)]
        _, place, own = name.split(".", 2)
        found.setdefault(int(place), {})[own] = value
    return [found[place] for place in sorted(found)]


def mean_answer(answers: Sequence[RnaAnswer]) -> RnaAnswer:
    """Logits of the mean probabilities of several answers to one batch."""
    folding = [answer.folding for answer in answers if answer.folding is not None]
    return RnaAnswer(
        mean_of_choices([answer.nucleotides for answer in answers]),
        mean_of_choices([answer.loops for answer in answers]),
        mean_of_chances([answer.pairs for answer in answers]),
        mean_of_chances(folding) if folding else None,
    )


def mean_of_choices(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Log of the mean of softmaxes over the last axis."""
    each = torch.stack([F.log_softmax(x.float(), -1) for x in logits])
    return torch.logsumexp(each, 0) - math.log(len(logits))


def mean_of_chances(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Logit of the mean of sigmoids, without rounding either end to 0 or 1."""
    each = torch.stack([x.float() for x in logits])
    yes, no = (torch.logsumexp(F.logsigmoid(x), 0) for x in (each, -each))
    return yes - no
