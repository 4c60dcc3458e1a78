"""From a command line and a recipe to a checked, frozen configuration."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from priorwise.errors import BadInput
from priorwise.phases.desk import Recipe
from priorwise.store.addresses import is_remote

C = TypeVar("C")
#: what MLproject passes for "not given": the recipe's value, else the dataclass's
NOT_GIVEN = "auto"
#: where a phase writes; a path that only looks like an address would be made here in silence
OUT = "out"
#: unknown parameters that are named, and characters of a value, in a refusal
SHOWN, CHARACTERS = 5, 200


def parser_of(phase: str, config: type[C]) -> ArgumentParser:
    """The command line of a phase: the fields of its dataclass."""
    parser = ArgumentParser(prog=phase, exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(config)
    return parser


def parse(phase: str, config: type[C], recipe: Recipe, given: Sequence[str]) -> C:
    """Checked configuration: given arguments over the recipe over the dataclass.

    Parameters
    ----------
    phase : str
    config : type
        A dataclass whose `__post_init__` checks ranges.
    recipe : Recipe
    given : sequence of str
        `--key=value` or `--key value` arguments; those with the value `auto` count as not given.

    Raises
    ------
    BadInput
        Naming the parameter, what was found and what was expected.
    """
    parser = parser_of(phase, config)
    types = get_type_hints(config)
    chosen: dict[str, Any] = {}
    for source, arguments in ((f"{recipe.path}, {phase}: ", recipe.arguments(phase)), ("", given)):
        named = pairs(arguments)
        unknown = [f"--{name}={value}" for name, value in named if name not in types]
        if unknown:
            named_ones = ", ".join(map(_shown, unknown[:SHOWN]))
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise BadInput(
                f"{source}unknown parameter {named_ones}{more}{_similar(unknown, types)}"
            )
        real = [(name, value) for name, value in named if value != NOT_GIVEN]
        values = {}
        for name, value in real:
            _refuse_no_text(f"{source}parameter {name}", value)
            try:
                values[name] = vars(parser.parse_args([f"--{name}={value}"]))[name]
            except ArgumentError as error:
                wanted = _in_words(types[name])
                raise BadInput(
                    f"{source}parameter {name}: expected {wanted}. Got value: {_shown(value)}"
                ) from error
        if is_remote(out := values.get(OUT, "")):
            raise BadInput(f"{source}parameter {OUT}: {out} (expected a path on this machine)")
        chosen.update(values)
    if recipe.path:
        chosen["config"] = recipe.path
    return config(**chosen)


def _shown(value: str) -> str:
    """A value as a refusal repeats it."""
    if len(value) <= CHARACTERS:
        return value
    return f"{value[:CHARACTERS]}... ({len(value)} characters)"


def _refuse_no_text(what: str, value: str) -> None:
    """Refuse what neither a path nor a tag can hold."""
    if "\0" in value:
        raise BadInput(f"{what}: holds a NUL character (expected text)")
    try:
        value.encode()
    except UnicodeEncodeError:
        shown = value.encode(errors="backslashreplace").decode()
        raise BadInput(f"{what}: {shown[:200]} is no text (expected UTF-8)") from None


def pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of each argument."""
    found = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise BadInput(f"unexpected argument {_shown(word)!r} (expected --name=value)")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise BadInput(f"{name}: no value given")
            value = rest.pop(0)
        found.append((name.replace("-", "_"), value))
    return found


def _in_words(wanted: Any) -> str:
    """A type as a user would say it."""
    plain = {float: "a finite number", int: "an integer", bool: "true or false", str: "text"}
    if get_origin(wanted) is Literal:
        return f"one of {list(get_args(wanted))}"
    if isinstance(wanted, UnionType):
        return " or ".join(_in_words(part) for part in get_args(wanted) if part is not NoneType)
    return plain.get(wanted, str(wanted))


def _similar(unknown: Sequence[str], known: Iterable[str]) -> str:
    """What the first unknown parameter may have been meant to be."""
    name = unknown[0].lstrip("-").partition("=")[0]
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
