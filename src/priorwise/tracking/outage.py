"""Which errors of a store heal by themselves, and calls that may not hang."""

import re
import threading
from collections.abc import Callable
from typing import TypeVar

from mlflow.exceptions import MlflowException

from priorwise.errors import in_short
from priorwise.tracking.secrets import scrub

T = TypeVar("T")
_OF_DATABASE = re.compile(r"\(\w+\.\w*Error\) ")
#: too many requests; and everything from here on is the server's own trouble
BUSY, SERVER_SIDE = frozenset({408, 425, 429}), 500
#: characters of an error that a user is shown
LINE = 300


def heals(error: BaseException) -> bool:
    """Whether the same request may succeed later: no connection, a timeout, 500 and up, 429.

    A store that refuses what it was sent (4xx) will refuse it again.
    """
    if not isinstance(error, MlflowException):
        return False
    status = int(error.get_http_status_code())
    return status in BUSY or status >= SERVER_SIDE


def of_the_store(error: BaseException) -> bool:
    """Whether an error comes from the tracking server or the artifact store."""
    # of boto, which is not imported for this
    return isinstance(error, MlflowException) or type(error).__module__.partition(".")[0] in (
        "requests",
        "boto3",
        "botocore",
    )


def first_line(error: BaseException) -> str:
    """An error in one line, without secrets."""
    lines = scrub(str(error).strip() or type(error).__name__).splitlines()
    # SQLAlchemy may tell first where it was, and only then what the database said
    said = [line for line in lines if _OF_DATABASE.match(line)]
    return in_short((said or lines)[0], LINE)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns; one that hangs is left behind in its thread.

    Raises
    ------
    TimeoutError
        If it takes longer than `seconds`.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(call())
        except BaseException as error:  # raised again by whoever waits
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True, name="bounded call")
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return done[0]
