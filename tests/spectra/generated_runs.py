"""Writers of small valid runs, and of large ones in a stream, for the ingest tests."""

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<mzML xmlns="http://psi.hupo.org/ms/mzml" id="generated" version="1.1.0">
 <cvList count="1"><cv id="MS" fullName="PSI-MS" URI="psi-ms.obo"/></cvList>
 <fileDescription><fileContent>
  <cvParam cvRef="MS" accession="MS:1000580" name="MSn spectrum" value=""/>
 </fileContent></fileDescription>
 <referenceableParamGroupList count="1"><referenceableParamGroup id="positive_mode">
  <cvParam cvRef="MS" accession="MS:1000130" name="positive scan" value=""/>
 </referenceableParamGroup></referenceableParamGroupList>
 <softwareList count="1"><software id="generator" version="1"/></softwareList>
 <instrumentConfigurationList count="1"><instrumentConfiguration id="IC1">{components}
 </instrumentConfiguration></instrumentConfigurationList>
 <dataProcessingList count="1"><dataProcessing id="none">
  <processingMethod order="0" softwareRef="generator"/>
 </dataProcessing></dataProcessingList>
 <run id="run1" defaultInstrumentConfigurationRef="IC1">
  <spectrumList count="{count}" defaultDataProcessingRef="none">
"""
_TAIL = "  </spectrumList>\n </run>\n</mzML>\n"

POLARITY = {
    "positive": '<cvParam cvRef="MS" accession="MS:1000130" name="positive scan" value=""/>',
    "negative": '<cvParam cvRef="MS" accession="MS:1000129" name="negative scan" value=""/>',
    "group": '<referenceableParamGroupRef ref="positive_mode"/>',
    None: "",
}


def term(name: str, value: object = "", tag: str = "cvParam", unit: str = "") -> str:
    accession = 'cvRef="MS" accession="MS:0000000" ' if tag == "cvParam" else ""
    unit = f' unitCvRef="UO" unitAccession="UO:0" unitName="{unit}"' if unit else ""
    return f'<{tag} {accession}name="{name}" value="{value}"{unit}/>'


@dataclass
class MadeScan:
    """A scan to write; ms1=None leaves the spectrumRef out."""

    number: int
    level: int = 1
    mz: Sequence[float] = (100.0, 200.0, 300.0)
    intensity: Sequence[float] = (10.0, 1000.0, 500.0)
    polarity: str | None = "positive"
    precursor_mz: float | None = 250.0
    ms1: int | None = None
    scan_terms: str = ""
    ion_terms: str = ""
    activation_terms: str = ""
    window: tuple[float, float] | None = None
    id: str | None = None
    declared: int | None = None
    children: list["MadeScan"] = field(default_factory=list)  # mzXML only

    @property
    def native_id(self) -> str:
        return self.id or f"controllerType=0 controllerNumber=1 scan={self.number}"


def _binary(values: Sequence[float], name: str, compress: bool) -> str:
    data = np.asarray(values, dtype="<f8").tobytes()
    kind = "zlib compression" if compress else "no compression"
    text = base64.b64encode(zlib.compress(data) if compress else data).decode()
    return (
        f'<binaryDataArray encodedLength="{len(text)}">{term("64-bit float")}{term(kind)}'
        f"{term(name)}<binary>{text}</binary></binaryDataArray>"
    )


def arrays_xml(mz: Sequence[float], intensity: Sequence[float], compress: bool = True) -> str:
    return (
        '<binaryDataArrayList count="2">'
        + _binary(mz, "m/z array", compress)
        + _binary(intensity, "intensity array", compress)
        + "</binaryDataArrayList>"
    )


def spectrum_xml(scan: MadeScan, index: int, arrays: str | None = None) -> str:
    precursor = ""
    if scan.level > 1:
        reference = (
            ""
            if scan.ms1 is None
            else f' spectrumRef="controllerType=0 controllerNumber=1 scan={scan.ms1}"'
        )
        window = ""
        if scan.window:
            window = (
                "<isolationWindow>"
                + term("isolation window lower offset", scan.window[0])
                + term("isolation window upper offset", scan.window[1])
                + "</isolationWindow>"
            )
        mz = "" if scan.precursor_mz is None else term("selected ion m/z", scan.precursor_mz)
        precursor = (
            f'<precursorList count="1"><precursor{reference}>{window}'
            f'<selectedIonList count="1"><selectedIon>{mz}{scan.ion_terms}</selectedIon>'
            f"</selectedIonList><activation>{scan.activation_terms}</activation></precursor></precursorList>"
        )
    declared = len(scan.mz) if scan.declared is None else scan.declared
    return (
        f'<spectrum index="{index}" id="{scan.native_id}" defaultArrayLength="{declared}">'
        f"{term('ms level', scan.level) if scan.level else ''}{POLARITY[scan.polarity]}"
        f'<scanList count="1"><scan>{scan.scan_terms}</scan></scanList>{precursor}'
        f"{arrays or arrays_xml(scan.mz, scan.intensity)}</spectrum>\n"
    )


def mzml_text(scans: Iterable[MadeScan], components: str = "") -> str:
    scans = list(scans)
    body = "".join(spectrum_xml(scan, index) for index, scan in enumerate(scans))
    return _HEAD.format(count=len(scans), components=components) + body + _TAIL


def write_mzml(path: Path, scans: Iterable[MadeScan], components: str = "") -> Path:
    path.write_text(mzml_text(scans, components))
    return path


def _mzxml_scan(scan: MadeScan) -> str:
    pairs = np.stack([scan.mz, scan.intensity], axis=1).astype(">f4") if len(scan.mz) else b""
    text = base64.b64encode(pairs if isinstance(pairs, bytes) else pairs.tobytes()).decode()
    sign = {"positive": ' polarity="+"', "negative": ' polarity="-"', None: ""}[scan.polarity]
    precursor = ""
    if scan.level > 1:
        reference = "" if scan.ms1 is None else f' precursorScanNum="{scan.ms1}"'
        precursor = f"<precursorMz{reference}{scan.ion_terms}>{scan.precursor_mz}</precursorMz>"
    return (
        f'<scan num="{scan.number}" msLevel="{scan.level}" peaksCount="{len(scan.mz)}"{sign}'
        f"{scan.scan_terms}>{precursor}"
        f'<peaks precision="32" byteOrder="network" contentType="m/z-int" compressionType="none" '
        f'compressedLen="0">{text}</peaks>{"".join(map(_mzxml_scan, scan.children))}</scan>\n'
    )


def mzxml_text(scans: Iterable[MadeScan], ionisation: str = "") -> str:
    source = (
        f'<msInstrument><msIonisation value="{ionisation}"/></msInstrument>' if ionisation else ""
    )
    return (
        '<?xml version="1.0"?>\n<mzXML xmlns="http://sashimi.sourceforge.net/schema_revision/mzXML_3.2">'
        f"<msRun>{source}\n{''.join(map(_mzxml_scan, scans))}</msRun></mzXML>\n"
    )


def cycles(n: int, ms2_per_cycle: int = 2) -> list[MadeScan]:
    """Survey scans, each with fragment scans that refer to it."""
    scans = []
    for cycle in range(n):
        first = cycle * (ms2_per_cycle + 1) + 1
        scans.append(MadeScan(first))
        scans += [
            MadeScan(first + k, level=2, ms1=first, precursor_mz=200.0 + k)
            for k in range(1, ms2_per_cycle + 1)
        ]
    return scans


def stream_large_mzml(file: IO[str], n_bytes: int, seed: int = 0) -> int:
    """Write a valid run of about `n_bytes`, one spectrum at a time; gives the MS2 count.

    The arrays come from a small pool, encoded once: writing is as fast as the disk.
    """
    rng = np.random.default_rng(seed)

    def pool(count: int, peaks: int) -> list[tuple[int, str]]:
        made = []
        for _ in range(count):
            mz = np.sort(rng.uniform(100, 1200, peaks))
            made.append((peaks, arrays_xml(mz, rng.lognormal(8, 2, peaks), compress=False)))
        return made

    surveys, fragments = pool(16, 4000), pool(64, 300)
    written = file.write(_HEAD.format(count=0, components=""))
    number = n_ms2 = 0
    while written < n_bytes:
        number += 1
        survey = number
        peaks, arrays = surveys[number % len(surveys)]
        scan = MadeScan(number, declared=peaks, scan_terms=term("ion injection time", 5.0))
        written += file.write(spectrum_xml(scan, number - 1, arrays))
        for _ in range(5):
            number += 1
            n_ms2 += 1
            peaks, arrays = fragments[number % len(fragments)]
            scan = MadeScan(
                number,
                level=2,
                declared=peaks,
                ms1=survey,
                precursor_mz=round(float(rng.uniform(100, 1000)), 4),
                window=(0.5, 0.5),
                ion_terms=term("charge state", 1 + number % 2),
                scan_terms=term("ion injection time", 20.0 + number % 7),
                activation_terms=term("collision energy", 30.0)
                + term("beam-type collision-induced dissociation"),
            )
            written += file.write(spectrum_xml(scan, number - 1, arrays))
    file.write(_TAIL)
    return n_ms2
