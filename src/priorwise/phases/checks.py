"""Range checks of configuration values: one line that names the parameter."""

import errno
import math
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.spectra.schema import POLARITIES

POLARITY_SPELLINGS = {"1": "positive", "0": "negative"}


def at_least(name: str, value: int, low: int) -> None:
    """Refuse an integer below `low`."""
    if value < low:
        raise BadInput(f"{name}: {value} (expected an integer >= {low})")


def within(name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
    """Refuse a number that is not finite or not in [low, high] (or (low, high])."""
    good = math.isfinite(value) and low <= value <= high and not (open_low and value == low)
    if not good:
        left = "(" if open_low else "["
        raise BadInput(f"{name}: {value} (expected a finite number in {left}{low:g}, {high:g}])")


def probability_or_auto(name: str, value: str) -> float | None:
    """The probability that `value` says; None for auto."""
    if value == "auto":
        return None
    try:
        number = float(value)
    except ValueError:
        raise BadInput(f"{name}: {value!r} (expected auto or a number in [0, 1])") from None
    within(name, number, 0, 1)
    return number


def polarity_name(value: str, parameter: str = "polarity") -> str:
    """Give `positive` or `negative` for that name or the guide's 1 or 0."""
    name = POLARITY_SPELLINGS.get(value, value)
    if name not in POLARITIES:
        raise BadInput(f"{parameter}: {value} (expected positive, negative, 1 or 0)")
    return name


def polarity_list(value: str, parameter: str = "polarities") -> tuple[str, ...]:
    """Polarities named by `both`, or by a comma-separated list."""
    if value == "both":
        return POLARITIES
    names = [polarity_name(part.strip(), parameter) for part in value.split(",")]
    if len(set(names)) != len(names):
        raise BadInput(f"{parameter}: {value} names one twice")
    return tuple(sorted(names, key=POLARITIES.index))


def writable_file(parameter: str, path: Path) -> None:
    """Refuse, before any work, a file that could not be written afterwards."""
    try:
        if path.is_dir():
            raise BadInput(f"{parameter}: {path} is a folder (expected a file)")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a name that is too long, too
        where = f"{path.parent} cannot be made"
        if error.errno == errno.ENAMETOOLONG:
            where = f"{str(path)[:100]}..."
        raise BadInput(f"{parameter}: {where} ({error.strerror})") from error
