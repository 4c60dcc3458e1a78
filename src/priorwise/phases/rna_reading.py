"""How pair probabilities become structures: the parameters that every finished model has."""

from dataclasses import dataclass

from priorwise.phases.checks import probability_or_auto
from priorwise.rna.decoding import Decoder, Method

#: until the best ones are chosen: the published threshold, and a share of thermodynamics
USUAL_THRESHOLD, USUAL_FOLDING_WEIGHT = 0.35, 0.6


@dataclass(frozen=True)
class ReadingOptions:
    """Parameters of a finished model's reading.

    Attributes
    ----------
    val_partition : str
        Partition to validate with; the partition CUT, where there is one, is validated with, too.
    threshold : str
        Of the kept model's decoder: auto = the best on the validation partition, and lower for
        sequences that the model is in doubt of; or a number such as 0.35, the same for all.
    decoding : {"nested", "greedy", "matching"}
        How probabilities become a structure.
    canonical_only : bool
        The decoder calls no pairs but AU, GC and GU.
    folding_weight : str
        With `features` or a `teacher`: share of thermodynamics in the kept model's pair
        probabilities, times the square of the network's doubt of a sequence; auto = the best on the
        validation partition and CUT together, or a number.
    noncanonical_penalty : str
        Probability that the kept model's decoder takes from pairs other than AU, GC and GU; auto =
        chosen with the share, or a number.
    stem_weight : str
        How far the loop types are listened to when the kept model decodes pairs: log-odds of a pair
        per mean log-odds of its bases to be in a stem; auto = chosen with the share, or a number.
    """

    val_partition: str = "VL0"
    threshold: str = "auto"
    decoding: Method = "nested"
    canonical_only: bool = False
    folding_weight: str = "auto"
    noncanonical_penalty: str = "auto"
    stem_weight: str = "auto"

    def __post_init__(self) -> None:
        for name in ("threshold", "folding_weight", "noncanonical_penalty", "stem_weight"):
            probability_or_auto(name, getattr(self, name))

    def usual_decoder(self, threshold: float = USUAL_THRESHOLD) -> Decoder:
        """How structures are decoded: the values given, and the usual ones for those to choose."""
        given, penalty, stems = self.threshold, self.noncanonical_penalty, self.stem_weight
        return Decoder(
            self.decoding,
            threshold if given == "auto" else float(given),
            self.canonical_only,
            0.0 if penalty == "auto" else float(penalty),
            stem_weight=0.0 if stems == "auto" else float(stems),
        )

    def usual_folding_weight(self, two_opinions: bool) -> float:
        """Share of thermodynamics, likewise; 0 if the network has no such opinion."""
        given = self.folding_weight
        if not two_opinions:
            return 0.0
        return USUAL_FOLDING_WEIGHT if given == "auto" else float(given)
