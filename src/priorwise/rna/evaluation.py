"""How well a model predicts the structures of one partition, beside what needs no training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from priorwise.rna.agreement import agreed_loops
from priorwise.rna.baselines import rnafold
from priorwise.rna.cells import CellCounts, cells_of
from priorwise.rna.copying import copy_nearest
from priorwise.rna.decoding import Decoder
from priorwise.rna.features import feature_maps
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import SavedRnaModel
from priorwise.rna.scoring import StrictScores, bootstrap_mean, by_group, strata
from priorwise.rna.similarity import nearest

MODEL, COPY, RNAFOLD = "model", "copy", "rnafold"
#: strata of the similarity to the nearest training sequence
SIMILARITY_EDGES = (0.2, 0.4, 0.6, 0.8)
#: a test sequence with a training sequence at least so similar has been seen, or nearly
SIMILAR = 0.8


@dataclass(frozen=True)
class PartEvaluation:
    """Scores of one partition.

    Attributes
    ----------
    partition : str
    rows : RnaRows
        Those with a known structure.
    predicted : list of numpy.ndarray
        The model's pairs of each row.
    scores : mapping of method to StrictScores
        model, copy, and rnafold where ViennaRNA is installed.
    cells : CellCounts
        Of the model's probabilities.
    structure_accuracy : float
        Share of the bases whose loop type the model tells.
    similarity : numpy.ndarray of shape (n_rows,)
        To the nearest training sequence; nan if the training sequences are not known.
    exact : int
        Rows whose sequence occurs among the training sequences; -1 if these are not known.
    """

    partition: str
    rows: RnaRows
    predicted: list[npt.NDArray[np.int32]]
    scores: Mapping[str, StrictScores]
    cells: CellCounts
    structure_accuracy: float
    similarity: npt.NDArray[np.float32]
    exact: int

    def metrics(self, resamples: int, seed: int) -> dict[str, float]:
        """Numbers of the partition, under names that end with it."""
        part, model = self.partition, self.scores[MODEL]
        mean = model.mean()
        low, high = bootstrap_mean(model.f1, resamples=resamples, seed=seed)
        found = {
            f"f1.{part}": mean["f1"],
            f"f1.{part}.low": low,
            f"f1.{part}.high": high,
            f"precision.{part}": mean["precision"],
            f"recall.{part}": mean["recall"],
            f"ap.{part}": self.cells.average_precision(),
            f"ece.{part}": self.cells.ece(0.05),
            f"n.{part}": float(len(self.rows)),
            f"structure_accuracy.{part}": self.structure_accuracy,
        }
        for method, scores in self.scores.items():
            if method != MODEL:
                found[f"{method}_f1.{part}"] = scores.mean()["f1"]
        if self.exact >= 0:
            found[f"leak_exact.{part}"] = float(self.exact)
            found[f"leak_similar.{part}"] = float((self.similarity >= SIMILAR).mean())
        return found

    def by_family(self, resamples: int) -> pd.DataFrame:
        """Mean F1 of every method in each family."""
        return by_group(self.rows.families, self._f1(), resamples=resamples)

    def by_similarity(self, resamples: int) -> pd.DataFrame:
        """Mean F1 of every method by similarity to the training sequences."""
        groups, order = strata(self.similarity, SIMILARITY_EDGES)
        return by_group(groups, self._f1(), order=order, resamples=resamples)

    def by_length(self) -> pd.DataFrame:
        """F1 of every method and sequence, with its length."""
        frames = [
            pd.DataFrame({"length": self.rows.lengths, "method": method, "f1": f1})
            for method, f1 in self._f1().items()
        ]
        return pd.concat(frames, ignore_index=True)

    def _f1(self) -> dict[str, npt.NDArray[np.float64]]:
        return {method: scores.f1 for method, scores in self.scores.items()}


def evaluate_part(
    model: SavedRnaModel,
    decoder: Decoder,
    partition: str,
    rows: RnaRows,
    training: RnaRows | None,
    with_rnafold: bool,
) -> PartEvaluation:
    """Predict, decode and score the rows of one partition.

    Parameters
    ----------
    model : SavedRnaModel
    decoder : Decoder
        The model's own, or one with another threshold.
    partition : str
    rows : RnaRows
        With known structures.
    training : RnaRows or None
        What the model was trained on; None if it is out of reach.
    with_rnafold : bool
        Needs ViennaRNA.
    """
    true = [rows.pairs_of_row(k) for k in range(len(rows))]
    sequences = rows.sequences()
    predicted: list[npt.NDArray[np.int32]] = [np.zeros((0, 2), np.int32)] * len(rows)
    cells, right = CellCounts.zero(), 0
    maps = feature_maps(sequences, model.features)
    for found in model.predict(rows, maps):
        tokens = rows.tokens_of_row(found.row)
        pairs = predicted[found.row] = decoder.decode(found.pairs, tokens, found.stems)
        cells += CellCounts.of(cells_of(found.pairs, true[found.row]))
        loops = agreed_loops(found.loops, pairs)
        right += int((loops == rows.loops_of_row(found.row)).sum())
    scores = {MODEL: StrictScores.of(predicted, true)}
    similarity, exact = np.full(len(rows), np.nan, np.float32), -1
    if training is not None:
        known, trained_on = training.take(training.labelled), training.sequences()
        copied = copy_nearest(
            sequences, known.sequences(), [known.pairs_of_row(k) for k in range(len(known))]
        )
        scores[COPY] = StrictScores.of(copied, true)
        _, similarity = nearest(trained_on, sequences)
        seen = set(trained_on)
        exact = sum(sequence in seen for sequence in sequences)
    if with_rnafold:
        scores[RNAFOLD] = StrictScores.of(rnafold(sequences), true)
    accuracy = right / max(int(rows.lengths.sum()), 1)
    return PartEvaluation(partition, rows, predicted, scores, cells, accuracy, similarity, exact)
