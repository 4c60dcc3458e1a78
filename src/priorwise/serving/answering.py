"""What the served model of every pipeline does with a request."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from priorwise.errors import BadInput
from priorwise.serving.unreadable_requests import refuse_unreadable_requests

#: name of the network folder among a model's artifacts
NETWORK = "network"


def network_folder(context: Any) -> Path:
    """Where the weights of the model that MLflow loads lie.

    A scoring server, if this process is one, refuses from now on what it cannot read.
    """
    refuse_unreadable_requests()
    return Path(context.artifacts[NETWORK])


@contextmanager
def refusing_bad_input() -> Iterator[None]:
    """Let bad input be the client's fault: a server answers 400."""
    try:
        yield
    except BadInput as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def threshold_of(wanted: float | None, stored: float) -> float:
    """The threshold asked for, or the model's own.

    Raises
    ------
    BadInput
        If it is no probability.
    """
    if wanted is None:
        return stored
    if not (math.isfinite(wanted) and 0 <= wanted <= 1):
        raise BadInput(f"params: threshold {wanted} (expected a number in [0, 1])")
    return float(wanted)
