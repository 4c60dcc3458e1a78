"""Versions that a training needs, kept from being cleaned up: Lance leaves tagged ones alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import lance

from priorwise.errors import BadInput
from priorwise.store.damage import is_damage
from priorwise.store.tables import PinnedTable, open_pinned

#: what tags of the project begin with; the run's id follows
TAG = "priorwise-"


@contextmanager
def protected(
    tables: Sequence[tuple[str, int]], run_id: str, say: Callable[[str], None]
) -> Iterator[None]:
    """Tag versions of tables while a run needs them.

    A run that ended otherwise than well still needs them, to be resumed: then the tags stay.

    Parameters
    ----------
    tables : sequence of (str, int)
        Address and version of each.
    run_id : str
    say : callable
        Told of a table that cannot be tagged, such as one that is read-only.

    Raises
    ------
    BadInput
        If a version is gone.
    """
    pinned = [open_pinned(uri, version) for uri, version in tables]
    name = f"{TAG}{run_id}"
    for table in pinned:
        try:
            for dataset in _datasets(table):
                _tag(dataset, name)
        except (OSError, ValueError, RuntimeError):
            say(
                f"{table.uri}: version {table.version} cannot be protected (no tag can be written "
                "there); whoever cleans up old versions must leave it"
            )
    yield
    for table in pinned:
        for dataset in _datasets(table):
            with suppress(OSError, ValueError, RuntimeError):
                dataset.tags.delete(name)


def protections(uri: str) -> dict[str, int]:
    """Which runs have tagged which version of a table: run id -> version.

    Raises
    ------
    BadInput
        If there is no table, or its tags cannot be read.
    """
    table = open_pinned(uri)
    try:
        tags = table.dataset.tags.list()
    except BaseException as error:
        if not is_damage(error):
            raise
        raise BadInput(f"{table.uri}: its tags (in _refs) cannot be read ({error})") from error
    return {
        name.removeprefix(TAG): int(tag["version"])
        for name, tag in tags.items()
        if name.startswith(TAG)
    }


def _datasets(table: PinnedTable) -> list[lance.LanceDataset]:
    return [table.dataset, *([table.shared.dataset] if table.shared else [])]


def _tag(dataset: lance.LanceDataset, name: str) -> None:
    there = dataset.tags.list()
    if name not in there:
        dataset.tags.create(name, dataset.version)
    elif there[name]["version"] != dataset.version:
        dataset.tags.update(name, dataset.version)
