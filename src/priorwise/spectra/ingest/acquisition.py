"""What a scan's metadata says about its acquisition, as named settings; absent means absent."""

import math
import re
from collections.abc import Mapping
from typing import Any

Meta = Mapping[str, Any]

#: msconvert and ThermoRawFileParser keep the vendor's trailer as user parameters
_TRAILER = "[Thermo Trailer Extra]"
_TRAILER_NAMES = {
    "Conversion Parameter C": "Conversion Parameter C",
    "FT Resolution": "Orbitrap Resolution",
    "Orbitrap Resolution": "Orbitrap Resolution",
    "AGC Target": "AGC Target",
    "LM m/z-Correction (ppm)": "LM m/z-Correction (ppm)",
    "Micro Scan Count": "Micro Scan Count",
}
_FILTER_POLARITY = re.compile(r"^\s*\S+\s(?:\{[^}]*\}\s)?([+-])\s")
_FILTER_IONIZATION = re.compile(r"\s(NSI|ESI)\s")
_FILTER_ACTIVATION = re.compile(r"@([a-z]+)([0-9]+(?:\.[0-9]+)?)?")
_HCD_TERMS = {
    "beam-type collision-induced dissociation",
    "higher energy beam-type collision-induced dissociation",
}


def polarity_from_filter(line: str) -> str | None:
    """Polarity that a Thermo filter line states ("FTMS + c ESI ..."), else None."""
    found = _FILTER_POLARITY.match(line)
    return {"+": "positive", "-": "negative"}[found.group(1)] if found else None


def mzml_polarity(info: Meta) -> str | None:
    """Polarity of an mzML spectrum: its own term, else its filter string, else None."""
    stated = ["positive scan" in info, "negative scan" in info]
    if all(stated):
        return None  # contradicts itself
    if any(stated):
        return "positive" if stated[0] else "negative"
    return polarity_from_filter(str(first_scan(info).get("filter string", "")))


def first_scan(info: Meta) -> Meta:
    """Give the first scan of an mzML spectrum's scan list, or nothing."""
    scans = (info.get("scanList") or {}).get("scan") or [{}]
    return dict(scans[0])


def mzml_settings(info: Meta, precursor: Meta, ion: Meta) -> dict[str, float | str]:
    """Named settings of an mzML MS2 spectrum.

    Parameters
    ----------
    info : mapping
        The spectrum as pyteomics gives it.
    precursor, ion : mapping
        Its first precursor and that one's first selected ion.

    Returns
    -------
    dict of str to float or str
        Only what the spectrum states.
    """
    scan = first_scan(info)
    named = _from_trailer(
        {k.removeprefix(_TRAILER): value for k, value in scan.items() if k.startswith(_TRAILER)}
    )
    window = precursor.get("isolationWindow") or {}
    offsets = [window.get(f"isolation window {side} offset") for side in ("lower", "upper")]
    lower, upper = (_finite(offset) for offset in offsets)
    if lower is not None and upper is not None:
        named["MS2 Isolation Width"] = lower + upper
    _put(named, "Charge State", ion.get("charge state"))
    injection = scan.get("ion injection time")
    duration = _finite(injection)
    if duration is not None:
        in_seconds = getattr(injection, "unit_info", None) in ("second", "UO:0000010")
        named["Ion Injection Time (ms)"] = duration * (1000 if in_seconds else 1)
    for term in ("mass resolving power", "mass resolution"):
        _put(named, "Orbitrap Resolution", scan.get(term, info.get(term)))
    activation = precursor.get("activation") or {}
    _put(named, "Energy1", activation.get("collision energy"))
    if _HCD_TERMS.intersection(activation):
        named["Activation1"] = "HCD"
    elif any("dissociation" in str(term) for term in activation):
        named["Activation1"] = "other"
    _from_filter(named, str(scan.get("filter string", "")))
    return named


def mzxml_settings(info: Meta, precursor: Meta) -> dict[str, float | str]:
    """Named settings of an mzXML MS2 scan, from its attributes and its precursor's."""
    named: dict[str, float | str] = {}
    _put(named, "MS2 Isolation Width", precursor.get("windowWideness"))
    _put(named, "Charge State", precursor.get("precursorCharge"))
    _put(named, "Energy1", info.get("collisionEnergy"))
    _put(named, "Ion Injection Time (ms)", info.get("ionInjectionTime"))
    method = str(precursor.get("activationMethod") or "")
    if method:
        named["Activation1"] = "HCD" if method.upper() == "HCD" else "other"
    _from_filter(named, str(info.get("filterLine") or ""))
    return named


def ionization_of_source(text: str) -> str | None:
    """NSI or ESI if an instrument's source says so, else None."""
    text = text.lower()
    if "nanoelectrospray" in text or "nanospray" in text or text == "nsi":
        return "NSI"
    if "electrospray" in text or text == "esi":
        return "ESI"
    return None


def thermo_settings(scan: Meta, trailer: Meta) -> dict[str, float | str]:
    """Named settings of an MS2 scan of a Thermo RAW file.

    Parameters
    ----------
    scan : mapping
        isolation_width (Th), charge, ion_injection_time_ms, collision_energy, filter_string; any
        of them None where unknown.
    trailer : mapping
        The scan's parameters under the instrument's own labels ("AGC Target:").
    """
    named = _from_trailer(trailer)
    _put(named, "MS2 Isolation Width", scan.get("isolation_width"))
    _put(named, "Charge State", scan.get("charge"))
    _put(named, "Ion Injection Time (ms)", scan.get("ion_injection_time_ms"))
    _put(named, "Energy1", scan.get("collision_energy"))
    _from_filter(named, str(scan.get("filter_string") or ""))
    return named


def _from_trailer(trailer: Meta) -> dict[str, float | str]:
    named: dict[str, float | str] = {}
    for key, value in trailer.items():
        name = key.strip().rstrip(":").strip()
        if name in _TRAILER_NAMES:
            _put(named, _TRAILER_NAMES[name], value)
        elif name == "HCD Energy":
            for step, energy in enumerate(str(value).split(",")[:5], start=1):
                _put(named, f"HCD Energy({step})", energy)
        elif name == "Mild Trapping Mode":
            named[name] = str(value).strip().capitalize()
    return named


def _from_filter(named: dict[str, float | str], line: str) -> None:
    """Fill in what only the Thermo filter line states."""
    ionization = _FILTER_IONIZATION.search(line)
    if ionization:
        named["Ionization"] = ionization.group(1)
    activation = _FILTER_ACTIVATION.search(line)
    if activation:
        named.setdefault("Activation1", "HCD" if activation.group(1) == "hcd" else "other")
        if activation.group(2) and "Energy1" not in named:
            _put(named, "Energy1", activation.group(2))


def _put(named: dict[str, float | str], name: str, value: Any) -> None:
    """Set a numeric setting if `value` is a finite number."""
    number = _finite(value)
    if number is not None:
        named[name] = number


def _finite(value: Any) -> float | None:
    """The number that `value` says, if it is a finite one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
