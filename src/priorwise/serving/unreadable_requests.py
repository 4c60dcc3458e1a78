"""A request that MLflow cannot parse is the client's fault: 400, not 500.

MLflow 3.17's scoring server foresees broken JSON only. Sound JSON in which a column's name is an
object, a number has 5,000 digits, or lists are nested a thousand deep breaks its parser.
"""

import sys
from typing import Any

from mlflow.exceptions import MlflowException

_SERVER = "mlflow.pyfunc.scoring_server"


def refuse_unreadable_requests() -> None:
    """Let the scoring server, if this process is one, refuse what it cannot parse. Idempotent."""
    server = sys.modules.get(_SERVER)
    strict = getattr(server, "_parse_json_data", None)
    if strict is None or getattr(strict, "refuses_unreadable", False):
        return  # no server, another MLflow, or done before

    def tolerant(*args: Any, **kwargs: Any) -> Any:
        try:
            return strict(*args, **kwargs)
        except MlflowException:
            raise
        except Exception as error:  # whatever the parser runs into
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            message = f"the request cannot be read ({reason})"
            raise MlflowException.invalid_parameter_value(message) from error

    wrapper: Any = tolerant
    wrapper.refuses_unreadable = True
    setattr(server, "_parse_json_data", wrapper)  # noqa: B010 - mypy knows no such module attribute
