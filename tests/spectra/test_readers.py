import gzip
import os

import numpy as np
import pytest
from tests.spectra.generated_runs import (
    MadeScan,
    cycles,
    mzml_text,
    mzxml_text,
    term,
    write_mzml,
)

from priorwise.errors import BadInput
from priorwise.spectra.ingest.inputs import find_runs
from priorwise.spectra.ingest.mgf import iter_mgf_scans
from priorwise.spectra.ingest.pairs import PairCounts, iter_pairs
from priorwise.spectra.ingest.readers import iter_scans

HCD = term("beam-type collision-induced dissociation")


def read_pairs(path, **options):
    counts = PairCounts()
    return list(iter_pairs(path, counts, **options)), counts


def test_mzml_scan_and_all_its_settings(tmp_path):
    fragment = MadeScan(
        12,
        level=2,
        mz=[50.5, 60.25],
        intensity=[1.0, 2.0],
        ms1=11,
        precursor_mz=321.1234,
        window=(0.4, 0.6),
        ion_terms=term("charge state", 2),
        scan_terms=term("ion injection time", 12.5, unit="millisecond")
        + term("filter string", "FTMS - c NSI d Full ms2 321.1234@hcd28.00 [50.0-350.0]")
        + term("[Thermo Trailer Extra]HCD Energy:", "20,30.5", tag="userParam")
        + term("[Thermo Trailer Extra]Mild Trapping Mode:", "On", tag="userParam")
        + term("[Thermo Trailer Extra]AGC Target:", "100000", tag="userParam"),
        activation_terms=HCD + term("collision energy", 28.0),
    )
    path = write_mzml(tmp_path / "a.mzML", [MadeScan(11), fragment])
    survey, scan = iter_scans(path)
    assert (survey.scan_number, survey.ms_level, survey.precursor_mz) == (11, 1, None)
    assert (scan.scan_number, scan.ms_level, scan.polarity) == (12, 2, "positive")
    assert scan.precursor_mz == 321.1234 and scan.precursor_ref == survey.native_id
    np.testing.assert_array_equal(scan.mz, [50.5, 60.25])
    np.testing.assert_array_equal(scan.intensity, [1, 2])
    assert scan.settings == {
        "MS2 Isolation Width": 1.0,
        "Charge State": 2.0,
        "Ion Injection Time (ms)": 12.5,
        "AGC Target": 100000.0,
        "Energy1": 28.0,
        "HCD Energy(1)": 20.0,
        "HCD Energy(2)": 30.5,
        "Ionization": "NSI",
        "Mild Trapping Mode": "On",
        "Activation1": "HCD",
    }


def test_a_bare_mzml_scan_states_no_setting(tmp_path):
    path = write_mzml(tmp_path / "a.mzML", [MadeScan(1), MadeScan(2, level=2, polarity=None)])
    _, scan = iter_scans(path)
    assert scan.settings == {} and scan.polarity is None and scan.precursor_ref is None


@pytest.mark.parametrize(
    ("terms", "polarity", "want"),
    [
        ("FTMS + p ESI d Full ms2 200.0@cid35.00 [50-220]", None, ("positive", "other", 35.0)),
        ("FTMS - p ESI d Full ms2 200.0@hcd30.00 [50-220]", None, ("negative", "HCD", 30.0)),
        ("FTMS {1;1} - p ESI d Full ms2 200.0@etd [50-220]", None, ("negative", "other", None)),
        ("", "group", ("positive", None, None)),
    ],
)
def test_filter_string_fills_in_what_terms_do_not_say(tmp_path, terms, polarity, want):
    scan = MadeScan(2, level=2, polarity=polarity, scan_terms=term("filter string", terms))
    _, got = iter_scans(write_mzml(tmp_path / "a.mzML", [MadeScan(1), scan]))
    assert (got.polarity, got.settings.get("Activation1"), got.settings.get("Energy1")) == want


@pytest.mark.parametrize(
    ("sources", "want"),
    [
        (["electrospray ionization"], "ESI"),
        (["nanoelectrospray"], "NSI"),
        (["atmospheric pressure chemical ionization"], None),
        (["electrospray ionization", "nanoelectrospray"], None),
        (["electrospray ionization", "atmospheric pressure chemical ionization"], None),
    ],
)
def test_ionization_of_the_instrument_if_it_has_one_source(tmp_path, sources, want):
    inside = "".join(f'<source order="1">{term(name)}</source>' for name in sources)
    components = f'<componentList count="1">{inside}</componentList>'
    path = write_mzml(tmp_path / "a.mzML", cycles(1, 1), components)
    assert list(iter_scans(path))[1].settings.get("Ionization") == want


def test_injection_time_in_seconds_is_converted(tmp_path):
    scan = MadeScan(2, level=2, scan_terms=term("ion injection time", 0.05, unit="second"))
    _, got = iter_scans(write_mzml(tmp_path / "a.mzML", [MadeScan(1), scan]))
    assert got.settings["Ion Injection Time (ms)"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("name", "number", "by_position"),
    [("scan=77", 77, False), ("78", 78, False), ("scanId=79", 79, False)]
    + [("sample=1 period=1 cycle=5 experiment=2", 1, True)],
)
def test_scan_numbers(tmp_path, name, number, by_position):
    (scan,) = iter_scans(write_mzml(tmp_path / "a.mzML", [MadeScan(1, id=name)]))
    assert (scan.scan_number, scan.numbered_by_position) == (number, by_position)


NESTED = [
    MadeScan(
        1,
        children=[
            MadeScan(2, level=2, precursor_mz=201.0, scan_terms=' collisionEnergy="30"'),
            MadeScan(3, level=2, ms1=1, ion_terms=' precursorCharge="2" windowWideness="1.5"'),
        ],
    ),
    MadeScan(4, polarity="negative"),
    MadeScan(5, level=2, ms1=1, polarity="negative", ion_terms=' activationMethod="CID"'),
]


def flat(scans):
    return [s for scan in scans for s in (scan, *scan.children)]


def unnested(scans):
    return [MadeScan(**{**vars(scan), "children": []}) for scan in flat(scans)]


@pytest.mark.parametrize("padding", [0, 5000])
def test_nested_mzxml_reads_like_flat_mzxml(tmp_path, padding):
    # the padding makes the parser see parents whose children are read only in part
    for scan in flat(NESTED):
        scan.mz, scan.intensity = np.arange(1, padding + 4), np.ones(padding + 3)
    (tmp_path / "nested.mzXML").write_text(mzxml_text(NESTED, "ESI"))
    (tmp_path / "flat.mzXML").write_text(mzxml_text(unnested(NESTED), "ESI"))
    nested, plain = (list(iter_scans(tmp_path / f"{n}.mzXML")) for n in ("nested", "flat"))
    assert [s.scan_number for s in nested] == [1, 2, 3, 4, 5]
    for one, other in zip(nested, plain, strict=True):
        assert (one.ms_level, one.polarity, one.precursor_mz, one.precursor_ref, one.settings) == (
            (other.ms_level, other.polarity, other.precursor_mz, other.precursor_ref)
            + (other.settings,)
        )
        np.testing.assert_array_equal(one.mz, other.mz)
    assert nested[1].settings == {"Energy1": 30.0, "Ionization": "ESI"}
    assert nested[2].settings["Charge State"] == 2
    assert nested[2].settings["MS2 Isolation Width"] == 1.5
    assert nested[4].settings["Activation1"] == "other"


@pytest.mark.parametrize("text", [mzml_text(cycles(40)), mzxml_text(cycles(40))])
def test_gzip_reads_like_plain_and_progress_sums_to_the_size(tmp_path, text):
    plain, zipped = tmp_path / "a.mzML", tmp_path / "a.mzML.gz"
    plain.write_text(text)
    zipped.write_bytes(gzip.compress(text.encode()))
    for path in (plain, zipped):
        seen = []
        assert len(list(iter_scans(path, on_bytes=seen.append))) == 120
        assert sum(seen) == path.stat().st_size


def damaged(name):
    whole = mzml_text(cycles(30)).encode()
    zipped = gzip.compress(whole)
    return {
        "cut": whole[: len(whole) // 2],
        "cut after the last spectrum": whole[: whole.rindex(b"</spectrum>") + 12],
        "cut gzip": zipped[: len(zipped) // 2],
        "damaged gzip": zipped[:300] + b"\0" * 40 + zipped[340:],
        "empty": b"",
        "not XML": b"hello, this is not XML at all\n" * 50,
        "other XML": b"<?xml version='1.0'?><html><body/></html>",
        "broken base64": whole.replace(b"<binary>", b"<binary>A"),
        "entity bomb": whole.replace(
            b"<mzML", b'<!DOCTYPE mzML [<!ENTITY a "aaaaaaaaaa">]>\n<mzML', 1
        ),
        "numpress": whole.replace(
            b'"zlib compression"', b'"MS-Numpress linear prediction compression"'
        ),
        "huge scan number": whole.replace(b'scan=1"', b'scan=99999999999"'),
        "endless scan number": whole.replace(b'scan=1"', b"scan=" + b"9" * 5000 + b'"'),
        "level in words": whole.replace(b'name="ms level" value="2"', b'name="ms level" value="b"'),
        "two levels": whole.replace(
            b'name="ms level" value="2"/>', b'name="ms level" value="2"/><cvParam name="ms level"/>'
        ),
        "namespace": whole.replace(b"psi.hupo.org", b"psi.hupo^.org"),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["cut", "cut after the last spectrum", "cut gzip", "damaged gzip", "empty", "not XML"]
    + ["other XML", "broken base64", "entity bomb", "numpress", "huge scan number"]
    + ["endless scan number", "level in words", "two levels", "namespace"],
)
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / "bad.mzML"
    path.write_bytes(damaged(name))
    with pytest.raises(BadInput, match=r"bad\.mzML") as caught:
        list(iter_scans(path))
    assert "\n" not in str(caught.value)


def test_missing_file():
    with pytest.raises(BadInput, match=r"nowhere\.mzML"):
        list(iter_scans("nowhere.mzML"))


def test_a_gzip_bomb_stops_at_the_bound(tmp_path):
    path = tmp_path / "bomb.mzML.gz"
    text = mzml_text(cycles(3)).replace("<run ", "<!--" + "x" * 5_000_000 + "--><run ")
    path.write_bytes(gzip.compress(text.encode()))
    assert len(list(iter_scans(path))) == 9
    with pytest.raises(BadInput, match="max_decompressed_bytes"):
        list(iter_scans(path, max_decompressed_bytes=1_000_000))


def test_partner_is_the_reference_if_seen_else_the_last_ms1(tmp_path):
    scans = [
        MadeScan(1, level=2),  # before any MS1
        MadeScan(2),
        MadeScan(3),
        MadeScan(4, level=2, ms1=2),
        MadeScan(5, level=2, ms1=99),
        MadeScan(6, level=2),
        MadeScan(7, level=2, ms1=4),  # refers to an MS2
        MadeScan(8, level=3, ms1=3),
        MadeScan(9, level=0),
        MadeScan(10, level=2, precursor_mz=None),
    ]
    pairs, counts = read_pairs(write_mzml(tmp_path / "a.mzML", scans))
    assert [(p.ms1_scan_number, p.ms2_scan_number) for p in pairs] == [
        (2, 4),
        (3, 5),
        (3, 6),
        (3, 7),
    ]
    assert (counts.ms1, counts.ms2, counts.rows, counts.other_scans) == (2, 6, 4, 2)
    assert counts.ms2_before_ms1 == 1 and counts.ms2_without_precursor == 1
    assert counts.partner_by_order == 3


def test_an_ms1_without_peaks_makes_no_row(tmp_path):
    scans = [MadeScan(1, mz=[], intensity=[]), MadeScan(2, level=2, ms1=1)]
    pairs, counts = read_pairs(write_mzml(tmp_path / "a.mzML", scans))
    assert pairs == [] and counts.ms2_after_empty_ms1 == 1


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (MadeScan(2, level=2, ms1=1, polarity=None), "polarity"),
        (MadeScan(2, level=2, ms1=1, precursor_mz=float("nan")), "precursor m/z"),
        (MadeScan(2, level=2, ms1=1, precursor_mz=0.0), "precursor m/z"),
        (MadeScan(2, level=2, ms1=1, intensity=[1.0]), "intensities"),
        (MadeScan(2, level=2, ms1=1, declared=7), "declares 7"),
    ],
)
def test_bad_rows_are_refused_or_dropped(tmp_path, bad, text):
    path = write_mzml(tmp_path / "a.mzML", [MadeScan(1), bad, MadeScan(3, level=2, ms1=1)])
    with pytest.raises(BadInput, match=rf"a\.mzML: scan 2: .*{text}"):
        read_pairs(path)
    pairs, counts = read_pairs(path, bad_rows="drop")
    assert [p.ms2_scan_number for p in pairs] == [3] and counts.bad_rows == 1


def test_rows_of_a_bad_ms1_are_bad(tmp_path):
    path = write_mzml(tmp_path / "a.mzML", [MadeScan(1, intensity=[1.0]), MadeScan(2, level=2)])
    with pytest.raises(BadInput, match="its MS1 scan 1"):
        read_pairs(path)


def test_settings_that_are_no_numbers_are_not_stated(tmp_path):
    scan = MadeScan(1, level=2, scan_terms=term("ion injection time", "fast"), window=("wide", 1))
    (found,) = iter_scans(write_mzml(tmp_path / "a.mzML", [scan]))
    assert not {"MS2 Isolation Width", "Ion Injection Time (ms)"}.intersection(found.settings)


def test_an_endless_number_in_mgf_is_none(tmp_path):
    path = tmp_path / "a.mgf"
    fields = "\n".join(f"{name}={'9' * 5000}" for name in ("SCANS", "CHARGE"))
    path.write_text(f"BEGIN IONS\nPEPMASS=100\n{fields}\n1 2\nEND IONS\n")
    (found,) = iter_mgf_scans(path)
    assert (found.scan_number, found.numbered_by_position) == (1, True)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write_mzml(tmp_path / "a.mzML", cycles(1))
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(BadInput, match=r"sub: cannot be read \(Permission denied\)"):
        find_runs(str(tmp_path))


def test_a_name_too_long_is_no_file():
    with pytest.raises(BadInput, match="no such file"):
        find_runs("x" * 300 + ".mzML")
