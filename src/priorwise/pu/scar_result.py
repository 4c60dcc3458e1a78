"""What a check of SCAR found: c per group, the test between groups."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupFrequency:
    """What one group shows of c.

    Attributes
    ----------
    group : str
    rows, labelled : int
        Rows of the group in the top region, and how many of them are labelled.
    c, low, high : float
        Label frequency and its 95 % interval (Wilson), corrected by equation (1);
        nan for a group that does not enter.
    used : bool
        Whether the group has rows enough to enter the test.
    """

    group: str
    rows: int
    labelled: int
    c: float
    low: float
    high: float
    used: bool


@dataclass(frozen=True)
class ScarCheck:
    """Result of `scar_check`.

    Attributes
    ----------
    statistic : float
        Pearson's chi-square between groups; nan if the check could not be done.
    df : int
        Groups that entered, less one.
    largest_residual : float
        Largest deviation of one group, in standard errors.
    p_value : float
        Of both statistics together: chance of such differences if c is the same everywhere.
    threshold : float
        Rows with at least this score are the top region.
    c : float
        Label frequency of all groups together; nan if the check could not be done.
    false_positive_rate : float
        N, share of the negatives in the top region, that fits best.
    level : float
        Nominal false-alarm rate.
    groups : tuple of GroupFrequency
        All groups, in alphabetical order.
    reason : str
        Why the check could not be done; empty if it was.
    """

    statistic: float
    df: int
    largest_residual: float
    p_value: float
    threshold: float
    c: float
    false_positive_rate: float
    level: float
    groups: tuple[GroupFrequency, ...]
    reason: str = ""

    @property
    def violated(self) -> bool:
        """Whether c differs between groups by more than chance (False if not checked)."""
        return self.p_value < self.level

    def metrics(self) -> dict[str, float]:
        """As metrics of a run; empty if the check could not be done."""
        if self.reason:
            return {}
        return {
            "scar.statistic": self.statistic,
            "scar.df": float(self.df),
            "scar.largest_residual": self.largest_residual,
            "scar.p": self.p_value,
            "scar.violated": float(self.violated),
        }

    def line(self) -> str:
        """One sentence for the log."""
        if self.reason:
            return f"SCAR check: not done ({self.reason})"
        used = [g for g in self.groups if g.used]
        least, most = min(used, key=lambda g: g.c), max(used, key=lambda g: g.c)
        numbers = f"chi-square {self.statistic:.1f}, {self.df} df, p = {self.p_value:.2g}"
        if not self.violated:
            return f"SCAR check: c is alike in {len(used)} data sets ({numbers})"
        return (
            f"SCAR check: c differs between data sets ({numbers}), from {least.c:.2f} in "
            f"{least.group} to {most.c:.2f} in {most.group}; one c does not describe them all"
        )
