"""Which errors mean that a table is damaged, rather than that there is a bug."""

import pyarrow as pa

#: what Lance, Arrow and the parsing of a schema's metadata raise
_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, pa.ArrowException)
#: Lance is written in Rust: a length in a damaged manifest makes it panic, which Python sees as a
#: `BaseException` of this name
_PANIC = "PanicException"


def is_damage(error: BaseException) -> bool:
    """Whether an error of Lance comes from the files that it reads."""
    return isinstance(error, _ERRORS) or type(error).__name__ == _PANIC
