"""The statistics a table's settings were z-scored with: in its schema, or in a file beside it."""

from pathlib import Path

from priorwise.errors import BadInput
from priorwise.spectra.settings import STATS_FILE, STATS_METADATA, SettingsStats
from priorwise.store.staging import staged
from priorwise.store.tables import PinnedTable


def stats_of_table(table: PinnedTable) -> SettingsStats | None:
    """Statistics of the settings of a table.

    Returns
    -------
    SettingsStats or None
        None where neither the table nor its folder says (the published tables do not).

    Raises
    ------
    BadInput
        If they are there, but damaged.
    """
    text = (table.schema.metadata or {}).get(STATS_METADATA)
    if text is not None:
        return SettingsStats.from_json(text.decode(), table.uri)
    beside = table.uri.rpartition("/")[0]
    for folder in (beside, beside.rpartition("/")[0]):  # a test set lies one folder further down
        address = f"{folder}/{STATS_FILE}"
        if content := _text_at(address):
            return SettingsStats.from_json(content, address)
    return None


def _text_at(address: str) -> str:
    """Text of a file, here or in an object store; empty if there is none."""
    try:
        with staged(address) as path:
            return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else ""
    except (BadInput, OSError, UnicodeDecodeError):
        return ""
