"""Any file that scans can be read from, told apart by name."""

from collections.abc import Iterator
from pathlib import Path

from priorwise.spectra.ingest.mgf import MGF_SUFFIXES, iter_mgf_scans
from priorwise.spectra.ingest.readers import RUN_SUFFIXES, iter_scans
from priorwise.spectra.ingest.scan import Scan
from priorwise.spectra.ingest.streams import OnBytes
from priorwise.spectra.ingest.thermo import THERMO_SUFFIXES, iter_raw_scans

SCAN_SUFFIXES = (*RUN_SUFFIXES, *THERMO_SUFFIXES, *MGF_SUFFIXES)


def iter_any_scans(
    path: Path,
    *,
    scratch: Path | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[Scan]:
    """Stream the scans of an mzML, mzXML, Thermo RAW or MGF file, plain or gzip.

    Parameters
    ----------
    path : pathlib.Path
    scratch : pathlib.Path, optional
        Folder for what a format needs on disk while it is read.
    on_bytes : callable, optional
        Called with the bytes of the file that were read since the last call.

    Raises
    ------
    BadInput
        If the file is damaged, or not what its name says.
    """
    name = path.name.lower()
    if name.endswith(THERMO_SUFFIXES):
        return iter_raw_scans(path, scratch=scratch, on_bytes=on_bytes)
    if name.endswith(MGF_SUFFIXES):
        return iter_mgf_scans(path, on_bytes=on_bytes)
    return iter_scans(path, on_bytes=on_bytes)
