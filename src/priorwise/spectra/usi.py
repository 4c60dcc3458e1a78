"""Universal spectrum identifiers: one name for a scan, wherever it is cited."""

import re

_SUFFIX = re.compile(r"(?i)\.(mzml|mzxml|raw|mgf)(\.gz)?$")


def stem_of(name: str) -> str:
    """Name of a run without .mzML, .mzXML, .raw, .mgf and .gz."""
    return _SUFFIX.sub("", name)


def usi(dataset_id: str, file: str, scan: int) -> str:
    """USI of a scan: mzspec:<dataset>:<file stem>:scan:<n>.

    Parameters
    ----------
    dataset_id : str
        Such as MSV000012345.
    file : str
        Base name of the run, with or without its suffix.
    scan : int
        Scan number.
    """
    return f"mzspec:{dataset_id}:{stem_of(file)}:scan:{scan}"
