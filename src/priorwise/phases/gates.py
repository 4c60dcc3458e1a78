"""What stands between a model and its use: named gates, each pure, and the decision they make.

A pipeline supplies a list of gates over its own record of facts. Nothing here reads a server, so
every way to promote a wrong model is a row of a table test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

C = TypeVar("C")
PASSED, REFUSED, FORCED = "passed", "refused", "forced"


@dataclass(frozen=True)
class Finding:
    """What one gate found: whether it lets the candidate pass, and why, in one line."""

    passed: bool
    detail: str


@dataclass(frozen=True)
class Gate(Generic[C]):
    """One condition.

    Attributes
    ----------
    name : str
        A word, for tags and the table.
    judge : callable of (candidate, champion) -> Finding
        Pure. The champion is None if there is none.
    can_be_forced : bool
        False for a condition that not even force=true overrides.
    """

    name: str
    judge: Callable[[C, C | None], Finding]
    can_be_forced: bool = True


@dataclass(frozen=True)
class Verdict:
    """A gate's finding, with its name."""

    gate: str
    passed: bool
    detail: str
    can_be_forced: bool = True


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion.

    Attributes
    ----------
    outcome : {"passed", "refused", "forced"}
    verdicts : tuple of Verdict
        In the order of the gates.
    """

    outcome: str
    verdicts: tuple[Verdict, ...]

    @property
    def promoted(self) -> bool:
        """Whether it becomes champion."""
        return self.outcome != REFUSED

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that it did not pass."""
        return tuple(verdict.gate for verdict in self.verdicts if not verdict.passed)

    @property
    def reasons(self) -> str:
        """One line: what the gates that it did not pass found."""
        return "; ".join(f"{v.gate}: {v.detail}" for v in self.verdicts if not v.passed)

    def table(self) -> pd.DataFrame:
        """One row per gate: gate, result, detail."""
        rows = [(v.gate, "passed" if v.passed else "failed", v.detail) for v in self.verdicts]
        return pd.DataFrame(rows, columns=["gate", "result", "detail"])

    def lines(self) -> list[str]:
        """The table, aligned for a terminal."""
        width = max((len(verdict.gate) for verdict in self.verdicts), default=0)
        return [
            f"  {v.gate:<{width}}  {'passed' if v.passed else 'FAILED'}  {v.detail}"
            for v in self.verdicts
        ]

    def markdown(self) -> str:
        """The table as Markdown."""
        rows = [
            f"| {v.gate} | {'passed' if v.passed else '**failed**'} | {_cell(v.detail)} |"
            for v in self.verdicts
        ]
        return "\n".join(["| gate | result | detail |", "|---|---|---|", *rows])

    def tags(self) -> dict[str, str]:
        """Tags for the version and the run; an empty text stands for no tag."""
        tags = {"decision": self.outcome, "decision.reasons": self.reasons}
        if self.outcome != REFUSED:  # a refusal later on does not undo that it was forced
            tags["forced.gates"] = ", ".join(self.failed) if self.outcome == FORCED else ""
        return tags | {f"gate.{v.gate}": "passed" if v.passed else "failed" for v in self.verdicts}


def decide(
    gates: Sequence[Gate[C]], candidate: C, champion: C | None, force: bool = False
) -> Decision:
    """Put a candidate through all gates.

    Parameters
    ----------
    gates : sequence of Gate
    candidate, champion : object
        Records of the pipeline that supplies the gates.
    force : bool
        Promote in spite of gates that failed, but for those that cannot be forced.
    """
    verdicts = []
    for gate in gates:
        finding = gate.judge(candidate, champion)
        verdicts.append(Verdict(gate.name, finding.passed, finding.detail, gate.can_be_forced))
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if not failed:
        outcome = PASSED
    elif force and all(verdict.can_be_forced for verdict in failed):
        outcome = FORCED
    else:
        outcome = REFUSED
    return Decision(outcome, tuple(verdicts))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
