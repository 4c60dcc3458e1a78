"""The XML of runs: a walk over gigabytes, safe and in bounded memory.

pyteomics reads each element (terms, arrays). The walk is ours, because it has to forget every
element it has passed, to expand no entities, and to give a nested mzXML parent before its children.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy as copy_element
from pathlib import Path
from typing import Any

from lxml import etree
from pyteomics import mzml, mzxml

from priorwise.errors import BadInput
from priorwise.spectra.ingest.streams import ByteStream

#: bound on one decompressed array; the largest profile scans are some 10 MB
MAX_ARRAY_BYTES = 256 * 1024**2
_HEAD_BYTES = 1 << 16


def format_of(stream: ByteStream, path: Path) -> str:
    """Tell mzML from mzXML by the root element, and rewind.

    Raises
    ------
    BadInput
        If it is neither, or declares a document type (where entity bombs live).
    """
    head = stream.read(_HEAD_BYTES)
    while 0 < len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    stream.seek(0)
    found = re.search(rb"<(?:\w+:)?(indexedmzML|mzML|mzXML|msRun)[\s>]", head)
    if not head or found is None:
        raise BadInput(f"{path}: is neither mzML nor mzXML (no such root element)")
    if b"<!DOCTYPE" in head[: found.start()] or b"<!ENTITY" in head[: found.start()]:
        raise BadInput(f"{path}: has a document type declaration, which neither format allows")
    return "mzML" if found.group(1).endswith(b"mzML") else "mzXML"


class _NoVocabulary:
    """Stands in for the PSI-MS vocabulary, which pyteomics would fetch from the network.

    Without it a term's value is a number if it reads as one; nothing here needs more.
    """

    relationship: tuple[()] = ()
    name = None

    def __getitem__(self, accession: str) -> "_NoVocabulary":
        return self


def _inflate(data: bytes) -> bytes:
    worker = zlib.decompressobj()
    out = worker.decompress(data, MAX_ARRAY_BYTES)
    if not worker.eof:
        raise ValueError("a compressed array is truncated or larger than 256 MiB")
    return out


def _unsupported(data: bytes) -> bytes:
    raise ValueError("its arrays are compressed with MS-Numpress; convert it with zlib instead")


_NUMPRESS = [
    f"MS-Numpress {kind} compression"
    for kind in ("linear prediction", "positive integer", "short logged float")
]
#: without the last entries pyteomics would take numpress bytes for plain floats
_INFLATERS: dict[str, Callable[[bytes], bytes]] = {
    "no compression": lambda data: data,
    "zlib compression": _inflate,
    **dict.fromkeys(_NUMPRESS, _unsupported),
    **dict.fromkeys((f"{n} followed by zlib compression" for n in _NUMPRESS), _unsupported),
}


class MzMLElements(mzml.MzML):  # type: ignore[misc]
    """Decodes mzML elements, arrays bounded, without the vocabulary from the network."""

    compression_type_map = _INFLATERS

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(
            stream, use_index=False, iterative=True, huge_tree=True, cv=_NoVocabulary()
        )


class MzXMLElements(mzxml.MzXML):  # type: ignore[misc]
    """Decodes mzXML elements, arrays bounded."""

    compression_type_map = _INFLATERS

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(stream, use_index=False, iterative=True, huge_tree=True)


def walk(stream: ByteStream, tags: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Start and end events of the elements with these local names, in file order."""
    return iter(
        etree.iterparse(
            stream,
            events=("start", "end"),
            tag=tuple(f"{{*}}{tag}" for tag in tags),
            remove_comments=True,
            resolve_entities=False,
            huge_tree=True,
            collect_ids=False,
        )
    )


def forget(element: Any) -> None:
    """Drop an element's content and everything before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def decode(reader: Any, element: Any, path: Path, what: str) -> dict[str, Any]:
    """Read an element into pyteomics' dictionary.

    Raises
    ------
    BadInput
        If it cannot be decoded, naming the file and `what`.
    """
    with decoding(path, what):
        info: dict[str, Any] = reader._get_info_smart(element)
    return info


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Name the file and `what` if something in it cannot be decoded.

    Raises
    ------
    BadInput
        For whatever a damaged element leads to, in pyteomics or in ourselves.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{path}: {what}: cannot be decoded ({first_line(error)})") from error


def without_children(scan: Any) -> Any:
    """Copy an open mzXML scan without the scans nested in it (parsed only in part)."""
    alone = etree.Element(scan.tag, dict(scan.attrib))
    for child in scan:
        if etree.QName(child).localname != "scan":
            alone.append(copy_element(child))
    return alone


def first_line(error: BaseException) -> str:
    """Shorten an error to one line."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
