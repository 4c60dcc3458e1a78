"""The RNA model as an MLflow pyfunc: sequences in, structures out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pandas as pd
from mlflow.pyfunc import PythonModel

from priorwise.errors import BadInput
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.decoding import Decoder, Method
from priorwise.rna.folding import Fold
from priorwise.rna.predict import rows_of
from priorwise.rna.saved_model import SavedRnaModel, load_saved_model
from priorwise.serving.answering import network_folder, refusing_bad_input, threshold_of
from priorwise.serving.rna_frames import MAX_BASES, SEQUENCE, sequences_of


class RnaPyfunc(PythonModel):  # type: ignore[misc]
    """Which bases pair? One row, one answer, whatever stands beside it."""

    saved: SavedRnaModel

    def load_context(self, context: Any) -> None:
        """Load the weights. MLflow passes `context` by this very name.

        Raises
        ------
        BadInput
            If the model needs ViennaRNA, and it is not installed.
        """
        self.saved = load_saved_model(network_folder(context))
        maps_for(self.saved, ["A"])  # what is missing is said now, not at the first request

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Structure of each row's sequence.

        Parameters
        ----------
        model_input : pandas.DataFrame
            As `rna_frames.sequences_of` expects it.
        params : dict, optional
            threshold : float in [0, 1], least probability of a pair; method : greedy, matching or
            nested (see `Decoder`); in place of the model's own.

        Returns
        -------
        pandas.DataFrame
            dot_bracket (str), pairs (list of [i, j], positions counted from 1, i < j, sorted) and
            confidence (float64, in [0, 1], see `Fold`), with the index of the input.

        Raises
        ------
        mlflow.exceptions.MlflowException
            INVALID_PARAMETER_VALUE (a server answers 400) naming row and column.
        """
        with refusing_bad_input():
            decoder = chosen_decoder(self.saved, params or {})
            sequences = sequences_of(model_input, longest(self.saved))
            return answers(self.saved, sequences, decoder, model_input.index)


def longest(saved: SavedRnaModel) -> int:
    """Bases of the longest sequence that a model answers."""
    limits = (MAX_BASES, saved.longest, saved.network.longest)
    return min(limit for limit in limits if limit)


def chosen_decoder(saved: SavedRnaModel, wanted: dict[str, Any]) -> Decoder:
    """The model's decoder, with what is asked for in its place.

    Raises
    ------
    BadInput
        If that is impossible.
    """
    method = wanted.get("method")
    if method is not None and method not in get_args(Method):
        raise BadInput(f"params: method {method!r} (expected {' or '.join(get_args(Method))})")
    decoder = saved.decoder.at(threshold_of(wanted.get("threshold"), saved.threshold))
    return replace(decoder, method=method or decoder.method)


def answers(
    saved: SavedRnaModel, sequences: Sequence[str], decoder: Decoder, index: pd.Index
) -> pd.DataFrame:
    """Fold sequences into a frame, each by itself.

    (With few processors, batches are no faster: the maps of pairs fill them anyway.)

    Raises
    ------
    BadInput
        Naming the row that has no answer.
    """
    rows = rows_of(sequences)
    folds: list[Fold | None] = [None] * len(rows)
    for found in saved.predict(rows, maps_for(saved, sequences), cells=1):
        try:
            tokens = rows.tokens_of_row(found.row)
            folds[found.row] = Fold.of(found.pairs, tokens, decoder, found.stems)
        except ValueError as error:
            raise BadInput(f"column {SEQUENCE}, row {found.row}: {error}") from error
    done = [fold for fold in folds if fold is not None]
    frame = pd.DataFrame(
        {
            "dot_bracket": [fold.dot_bracket for fold in done],
            "pairs": [(fold.pairs + 1).tolist() for fold in done],
            "confidence": [fold.confidence for fold in done],
        },
        index=index,
    )
    return frame.astype({"dot_bracket": str, "pairs": object, "confidence": float})


def maps_for(saved: SavedRnaModel, sequences: Sequence[str]) -> FeatureMaps | None:
    """What a network takes beside the sequences.

    Raises
    ------
    BadInput
        If it takes pair probabilities, and ViennaRNA is not installed.
    """
    if not saved.features:
        return None
    # only here: a model without features needs nothing of what folds for others
    from priorwise.rna.features import feature_maps

    return feature_maps(sequences, saved.features, workers=1)  # a server starts no processes
