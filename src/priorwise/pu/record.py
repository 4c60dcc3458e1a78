"""The prior record: what phase 2 hands to phase 3."""

from dataclasses import asdict, dataclass

from priorwise.pu.intervals import PriorIntervals
from priorwise.pu.priors import alpha_of


@dataclass(frozen=True)
class PriorRecord:
    """c, s, pi, alpha of one polarity, with where they come from.

    Attributes
    ----------
    c, s, pi, alpha : float
        Fractions; see `priorwise.pu.priors`.
    intervals : PriorIntervals
        Bootstrap intervals (variance only).
    estimator : str
    polarity : str
    data_digest : str
        Content digest of the training table that s was counted on.
    bce_run, bce_checkpoint : str
        Run id and sha256 of the checkpoint whose scores gave c.
    n_labelled : int
        Labelled rows of Test Set 1 behind c.
    s_test : float
        Labelled fraction of Test Set 1.
    """

    c: float
    s: float
    pi: float
    intervals: PriorIntervals
    estimator: str
    polarity: str
    data_digest: str
    bce_run: str
    bce_checkpoint: str
    n_labelled: int
    s_test: float

    @property
    def alpha(self) -> float:
        """Positive share of the unlabelled rows."""
        return alpha_of(self.pi, self.s)

    def metrics(self) -> dict[str, float]:
        """As metrics of a run: each value, its interval, and the estimator's own copy."""
        values = {"c": self.c, "s": self.s, "pi": self.pi, "alpha": self.alpha}
        for name, interval in self.intervals._asdict().items():
            values[f"{name}.low"], values[f"{name}.high"] = interval
        for name in ("c", "pi", "alpha"):
            values[f"{name}.{self.estimator}"] = values[name]
        return {**values, "s_test": self.s_test, "n_labelled": float(self.n_labelled)}

    def as_json(self) -> dict[str, object]:
        """As the artifact prior.json."""
        content = asdict(self)
        content["alpha"] = self.alpha
        content["intervals"] = {k: list(v) for k, v in self.intervals._asdict().items()}
        return content
