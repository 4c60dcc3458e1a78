"""Whole numbers where a signature says double.

JSON and Python write 1234.0 as 1234, and MLflow 3.17 then refuses the column: of integers, its
schema check lets only those of up to 32 bits pass as double. A model cannot say that it takes
both, so the check itself is widened: integers that a double holds exactly pass.
"""

from typing import Any

import mlflow.models.utils as schema_check
import numpy as np
import pandas as pd
from mlflow.types import DataType

#: every integer up to here is a double
EXACT = 2**53


def accept_whole_numbers() -> None:
    """Let MLflow's schema check, in this process, take whole numbers for doubles. Idempotent."""
    strict = getattr(schema_check, "_enforce_mlflow_datatype", None)
    if strict is None or getattr(strict, "takes_whole_numbers", False):
        return  # another MLflow, with a check of its own; or done before

    def tolerant(name: str, values: pd.Series, t: DataType) -> pd.Series:
        if t == DataType.double and values.dtype.kind in "iu" and _exact(values):
            values = values.astype(np.float64)
        return strict(name, values, t)

    wrapper: Any = tolerant
    wrapper.takes_whole_numbers = True
    schema_check._enforce_mlflow_datatype = wrapper


def _exact(values: pd.Series) -> bool:
    return not len(values) or bool(-EXACT <= values.min() and values.max() <= EXACT)
