"""What the benchmarks are measured against, and whether it was reached."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A reference figure, and what the recommended line of a group must reach.

    With `is_error`, mean and highest value must be at most the goal's; otherwise the mean must be
    at least the goal's. No `mean`: shown, not judged.
    """

    reference: str = ""
    mean: float | None = None
    highest: float | None = None
    is_error: bool = True

    @property
    def text(self) -> str:
        """The goal as the table shows it."""
        if self.mean is None:
            return ""
        sign = "<=" if self.is_error else ">="
        return f"{sign} {self.mean:g}" + (f", max <= {self.highest:g}" if self.highest else "")

    def reached(self, mean: float, highest: float = 0.0) -> str:
        """yes, no, or nothing if there is no goal."""
        if self.mean is None:
            return ""
        inside = mean <= self.mean if self.is_error else mean >= self.mean
        return "yes" if inside and (self.highest is None or highest <= self.highest) else "no"
