"""The ways a phase can end badly, each with the exit code that users and schedulers see."""


def in_short(line: str, most: int) -> str:
    """A line of at most some characters, of a long one its beginning and its end.

    Libraries name long addresses first, and only then what went wrong.
    """
    return line if len(line) <= most else f"{line[: most // 2]} ... {line[-most // 2 :]}"


class PriorwiseError(Exception):
    """Base of every expected failure; its text is the one line shown to the user."""

    exit_code = 1


class BadInput(PriorwiseError):
    """A file, column or parameter is not what was expected (exit 2)."""

    exit_code = 2


class PriorNotResolvable(PriorwiseError):
    """No run, or more than one, fits what was asked for (exit 3)."""

    exit_code = 3


class TrackingFailure(PriorwiseError):
    """The tracking server or the artifact store cannot be used (exit 4)."""

    exit_code = 4


class LoaderKilled(PriorwiseError):
    """A process that assembles batches was killed, mostly for its memory (exit 1).

    Parameters
    ----------
    how : str
        What is known of its end.
    """

    def __init__(self, how: str) -> None:
        super().__init__(
            f"a process that assembles batches {how}: is there memory for num_workers of them? "
            "(num_workers=0 needs none)"
        )


class Interrupted(BaseException):
    """A signal asked the process to stop; not an `Exception`, so that no handler swallows it.

    Parameters
    ----------
    signum : int
        The signal's number; the exit code is 128 + signum (143 for SIGTERM, 130 for SIGINT).
    reason : str
        Who asked, for the run's tags.
    """

    def __init__(self, signum: int, reason: str) -> None:
        super().__init__(reason)
        self.signum = signum
        self.reason = reason

    @property
    def exit_code(self) -> int:
        """Shell convention for death by signal."""
        return 128 + self.signum
