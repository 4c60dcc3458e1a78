"""The spectra model as an MLflow pyfunc: data frame in, probability and decision out."""

from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from priorwise.errors import BadInput
from priorwise.serving.answering import network_folder, refusing_bad_input, threshold_of
from priorwise.serving.spectra_frames import raw_rows, table_rows
from priorwise.serving.whole_numbers import accept_whole_numbers
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.saved_model import SavedModel, load_saved_model


class SpectraPyfunc(PythonModel):  # type: ignore[misc]
    """Will the MS2 scan be identifiable? One row, one answer, whatever stands beside it."""

    saved: SavedModel

    def load_context(self, context: Any) -> None:
        """Load the weights. MLflow passes `context` by this very name."""
        accept_whole_numbers()
        self.saved = load_saved_model(network_folder(context))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Probability and decision of each row.

        Parameters
        ----------
        model_input : pandas.DataFrame
            As `spectra_frames.table_rows`, or with `raw` as `raw_rows` expects it.
        params : dict, optional
            raw : bool, rows come as an instrument gives them. threshold : float in [0, 1], in
            place of the stored one.

        Returns
        -------
        pandas.DataFrame
            probability (float64, in [0, 1]) and identifiable (bool: probability >= threshold),
            with the index of the input.

        Raises
        ------
        mlflow.exceptions.MlflowException
            INVALID_PARAMETER_VALUE (a server answers 400) naming row and column.
        """
        wanted = params or {}
        with refusing_bad_input():
            threshold = threshold_of(wanted.get("threshold"), self.saved.threshold)
            stats = self.saved.stats
            rows = raw_rows(model_input, stats) if wanted.get("raw") else table_rows(model_input)
            self._check_polarity(rows)
            probability = probabilities(self.saved.network, rows)
            if not np.isfinite(probability).all():
                row = int(np.argmin(np.isfinite(probability)))
                raise BadInput(f"row {row}: values out of all range")
        return pd.DataFrame(
            {"probability": probability, "identifiable": probability >= threshold},
            index=model_input.index,
        )

    def _check_polarity(self, rows: SpectraRows) -> None:
        """Refuse rows of a polarity that the model was not trained on."""
        if self.saved.polarity == "both":
            return
        other = rows.positive.numpy() != (self.saved.polarity == "positive")
        if other.any():
            row = int(np.argmax(other))
            raise BadInput(
                f"row {row}: its polarity is not {self.saved.polarity}, all that this model knows"
            )
