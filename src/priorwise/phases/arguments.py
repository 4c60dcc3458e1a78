"""From a command line and a recipe to a checked, frozen configuration."""

from collections.abc import Sequence
from typing import TypeVar

from jsonargparse import ArgumentError, ArgumentParser

from priorwise.errors import BadInput
from priorwise.phases.desk import Recipe

C = TypeVar("C")
#: what MLproject passes for "not given": the recipe's value, else the dataclass's
NOT_GIVEN = "auto"


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
    chosen = {}
    for source, arguments in ((f" (in {recipe.path})", recipe.arguments(phase)), ("", given)):
        try:
            values = vars(parser.parse_args(_without_auto(arguments)))
        except ArgumentError as error:
            raise BadInput(f"{phase}{source}: {_one_line(error)}") from error
        named = _named(arguments)
        unknown = named - set(values)
        if unknown:
            raise BadInput(f"{phase}{source}: unknown parameter {', '.join(sorted(unknown))}")
        chosen.update({k: v for k, v in values.items() if k in named})
    if recipe.path and "config" in parser.get_defaults():
        chosen["config"] = recipe.path
    return config(**chosen)


def pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) of each argument."""
    found = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise BadInput(f"unexpected argument {word!r} (expected --name=value)")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise BadInput(f"{name}: no value given")
            value = rest.pop(0)
        found.append((name.replace("-", "_"), value))
    return found


def _without_auto(arguments: Sequence[str]) -> list[str]:
    return [f"--{name}={value}" for name, value in pairs(arguments) if value != NOT_GIVEN]


def _named(arguments: Sequence[str]) -> set[str]:
    return {name for name, value in pairs(arguments) if value != NOT_GIVEN}


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    for clutter, plain in (
        ('Parser key "', "parameter "),
        ('": Expected', ": expected"),
        ("<class 'float'>", "a finite number"),
        ("<class 'int'>", "an integer"),
        ("a a finite", "a finite"),
        ("a an integer", "an integer"),
        ("typing.Literal", "one of "),
        ("unrecognized arguments:", "unknown parameter"),
    ):
        text = text.replace(clutter, plain)
    return text
