"""The test sets of `main`: which are there, and that none has rows of a table used before it."""

from collections.abc import Mapping

from priorwise.errors import BadInput
from priorwise.phases.data import beside, read_test
from priorwise.phases.desk import Desk, say
from priorwise.spectra.facts import TableFacts
from priorwise.store.addresses import is_remote
from priorwise.store.tables import table_exists

#: what each is for
TEST_SETS = {"test_1": "c", "test_2": "a threshold", "test_3": "an evaluation"}
#: a threshold may be chosen on the rows that gave c, but nothing may be judged on rows used before
MAY_SHARE = ("test_2", "test_1")


def find_test_sets(
    folder: str, named: Mapping[str, str], used: Mapping[str, TableFacts], desk: Desk
) -> dict[str, TableFacts]:
    """Read the test sets that are there.

    Parameters
    ----------
    folder : str
        Where `auto` looks for them.
    named : mapping of test set -> folder
        As the user named them; auto = in `folder`. Those without which phases 1 to 3 can be done
        may then be missing: one line says what is left out.
    used : mapping of role -> TableFacts
        Training and validation table.

    Raises
    ------
    BadInput
        If one that is needed, or named, is missing, or is a table that is used before it.
    """
    found = {
        name: read_test(folder, where, name, desk)[1]
        for name, where in named.items()
        if name == "test_1" or where != "auto" or _is_there(folder, name)
    }
    before = dict(used)
    for name, table in found.items():
        for role, other in before.items():
            if (name, role) != MAY_SHARE:
                table.require_other_than(other, TEST_SETS[name], role)
        before[name] = table
    if "test_2" not in found:
        say(f"no test_2 in {folder}: no threshold is selected, and no model evaluated")
        found.pop("test_3", None)
    elif "test_3" not in found:
        say(f"no test_3 in {folder}: no model is evaluated")
    return found


def _is_there(folder: str, name: str) -> bool:
    """Whether a test set lies where `auto` looks for it."""
    try:
        where = beside(folder, "auto", name)
    except BadInput:
        return False
    return not is_remote(where) or table_exists(f"{where}/test_data")
