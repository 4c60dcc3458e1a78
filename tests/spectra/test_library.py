import gzip

import numpy as np
import pytest
from matchms import Spectrum
from matchms.similarity import CosineGreedy

from priorwise.errors import BadInput
from priorwise.spectra.ingest.library import Library, cosine_greedy
from priorwise.spectra.ingest.library_formats import iter_entries

MZ = np.array([50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 110.0])
INTENSITY = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0])


def mgf(*entries, mz=MZ, intensity=INTENSITY):
    peaks = "\n".join(f"{m} {i}" for m, i in zip(mz, intensity, strict=True))
    blocks = []
    for entry in entries:
        fields = {"TITLE": "X1", "PEPMASS": "200.0", "IONMODE": "Positive", **entry}
        lines = [f"{k}={v}" for k, v in fields.items() if v is not None and k != "peaks"]
        blocks.append("\n".join(["BEGIN IONS", *lines, fields.get("peaks", peaks), "END IONS", ""]))
    return "\n".join(blocks)


@pytest.fixture
def library(tmp_path):
    opened = []

    def open_library(text, name="lib.mgf"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        opened.append(Library(path, scratch=tmp_path))
        return opened[-1]

    yield open_library
    for each in opened:
        each.close()


def spectrum(mz, intensity):
    return Spectrum(mz, intensity, metadata={"precursor_mz": 200.0})


def random_spectrum(rng, n):
    # a coarse grid, so that several peaks compete within the tolerance
    return np.sort(rng.integers(1000, 1100, n) * 0.02 + 30), rng.lognormal(3, 2, n)


def test_cosine_equals_matchms():
    rng = np.random.default_rng(1)
    reference = CosineGreedy(tolerance=0.05)
    checked = 0
    for _ in range(300):
        a, b = (random_spectrum(rng, rng.integers(1, 40)) for _ in range(2))
        want = reference.pair(spectrum(*a), spectrum(*b))
        got = cosine_greedy(np.stack(a, axis=1), np.stack(b, axis=1))
        assert got[0] == pytest.approx(float(want["score"]), abs=1e-12)
        assert got[1] == int(want["matches"])
        checked += got[1] > 1
    assert checked > 100


def test_labels_equal_a_brute_force_over_every_entry(library):
    rng = np.random.default_rng(2)
    base = [random_spectrum(rng, 12) for _ in range(4)]
    entries, texts = [], []
    for number in range(120):
        mz, intensity = base[rng.integers(4)]
        mz = np.round(mz + rng.normal(0, 0.06, len(mz)), 4)
        intensity = np.round(intensity * rng.lognormal(0, 2, len(mz)), 4)
        precursor = round(200 + rng.normal(0, 0.06), 4)
        polarity = str(rng.choice(["POSITIVE", "NEGATIVE"]))
        entries.append((precursor, polarity.lower(), mz, intensity))
        texts.append(
            mgf(
                {"TITLE": f"E{number}", "PEPMASS": precursor, "IONMODE": polarity},
                mz=mz,
                intensity=intensity,
            )
        )
    found = library("\n".join(texts))
    reference = CosineGreedy(tolerance=0.05)
    outcomes = []
    for number in range(60):
        mz, intensity = base[number % 4]
        mz = mz + rng.normal(0, 0.02, len(mz))
        order = np.argsort(mz)
        mz, intensity = mz[order], intensity[order]
        precursor, polarity = 200 + rng.normal(0, 0.05), ("positive", "negative")[number % 2]
        kept = intensity >= 0.01 * intensity.max()
        query = spectrum(mz[kept], intensity[kept])
        hits = []
        for index, (library_precursor, library_polarity, m, i) in enumerate(entries):
            if library_polarity != polarity or abs(library_precursor - precursor) > 0.05:
                continue
            m_order = np.argsort(m, kind="stable")
            score = reference.pair(spectrum(m[m_order], i[m_order]), query)
            if score["score"] >= 0.7 and score["matches"] >= 6:
                hits.append((float(score["score"]), f"E{index}"))
        match = found.best_match(polarity, precursor, mz, intensity)
        assert (match is not None) == bool(hits)
        if match:
            assert match.cosine == pytest.approx(max(hits)[0])
            assert match.accession == max(hits)[1]
        outcomes.append(bool(hits))
    assert 5 < sum(outcomes) < 55


@pytest.mark.parametrize(
    ("entry", "labelled"),
    [
        ({}, True),
        ({"PEPMASS": "200.0499 1000"}, True),
        ({"PEPMASS": "200.051"}, False),
        ({"PEPMASS": "199.949"}, False),
        ({"IONMODE": "negative"}, False),
    ],
)
def test_window_and_polarity(library, entry, labelled):
    found = library(mgf(entry))
    assert (found.best_match("positive", 200.0, MZ, INTENSITY) is not None) == labelled


def test_cosine_and_matches_must_come_from_the_same_entry(library):
    few = "\n".join(f"{m} {i}" for m, i in zip(MZ[2:], INTENSITY[2:], strict=True))
    poor = "\n".join(f"{m} {i}" for m, i in zip(MZ, [1000.0, 1, 1, 1, 1, 1, 1], strict=True))
    high_cosine, many_matches = {"TITLE": "high", "peaks": few}, {"TITLE": "many", "peaks": poor}
    both = library(mgf(high_cosine, many_matches))
    assert both.best_match("positive", 200.0, MZ, INTENSITY) is None
    third = library(mgf(high_cosine, many_matches, {"TITLE": "good", "NAME": "Codeine"}))
    match = third.best_match("positive", 200.0, MZ, INTENSITY)
    assert (match.accession, match.compound_name, match.matched_peaks) == ("good", "Codeine", 7)


def test_five_peaks_never_label_and_the_query_is_filtered(library):
    found = library(mgf({}))
    assert found.best_match("positive", 200.0, MZ[:5], INTENSITY[:5]) is None
    weak = INTENSITY.copy()
    weak[:2] = 0.5  # below 1 % of 70: five peaks are left
    assert found.best_match("positive", 200.0, MZ, weak) is None


def test_library_peaks_are_not_filtered(library):
    intensity = np.array([1e-3, 1e-3, 30, 40, 50, 60, 70])
    found = library(mgf({}, intensity=intensity))
    assert found.best_match("positive", 200.0, MZ, INTENSITY).matched_peaks == 7


@pytest.mark.parametrize(
    ("entry", "polarity"),
    [
        ({"IONMODE": "P"}, "positive"),
        ({"IONMODE": None, "CHARGE": "1-"}, "negative"),
        ({"IONMODE": None, "CHARGE": "-1"}, "negative"),
        ({"IONMODE": None, "CHARGE": "2+"}, "positive"),
        ({"IONMODE": None, "CHARGE": "0+"}, None),
        ({"IONMODE": None, "CHARGE": "1"}, None),
        ({"IONMODE": "N/A", "ADDUCT": "[M-H]-"}, "negative"),
        ({"IONMODE": None, "ADDUCT": "[M+2H]2+"}, "positive"),
        ({"IONMODE": None}, None),
    ],
)
def test_polarity_of_an_entry(tmp_path, entry, polarity):
    (tmp_path / "lib.mgf").write_text(mgf(entry))
    (got,) = iter_entries(tmp_path / "lib.mgf")
    assert got.polarity == polarity


def test_entries_left_out_are_counted(library):
    text = mgf({}, {"PEPMASS": "0"}, {"PEPMASS": None}, {"IONMODE": None}, {"peaks": ""})
    counts = library(text, "lib.mgf.gz").counts
    assert (counts.positive, counts.negative) == (1, 0)
    assert (counts.without_precursor, counts.without_polarity, counts.without_peaks) == (2, 1, 1)


MSP = """Name: Codeine
DB#: MSBNK-1
PrecursorMZ: 300.15
Ion_mode: P
Num Peaks: 3
60.5 2; 50.25 1
70 3 "a; comment"

NAME: Other
PRECURSORTYPE: [M-H]-
Num Peaks: 1
99.0\t5

"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_msp(tmp_path, ending):
    (tmp_path / "lib.msp").write_text(MSP.replace("\n", ending), newline="")
    first, second = iter_entries(tmp_path / "lib.msp")
    assert (first.accession, first.compound_name, first.precursor_mz) == (
        "MSBNK-1",
        "Codeine",
        300.15,
    )
    assert first.polarity == "positive" and second.polarity == "negative"
    np.testing.assert_array_equal(first.peaks, [[50.25, 1], [60.5, 2], [70, 3]])
    assert second.precursor_mz is None


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("lib.mgf", mgf({}).replace("END IONS", ""), "no END IONS"),
        ("lib.mgf", mgf({"peaks": "50 x"}), "line 5"),
        ("lib.mgf", "END IONS\n", "line 1"),
        ("lib.mgf", "", "no entry"),
        ("lib.msp", MSP.replace("99.0\t5", ""), "expected 1"),
        ("lib.msp", MSP.replace("Num Peaks: 3", "Num Peaks: many"), "line 5"),
        ("lib.txt", mgf({}), "mgf or .msp"),
    ],
)
def test_damaged_libraries_are_named(library, name, text, where):
    with pytest.raises(BadInput, match=where) as caught:
        library(text, name)
    assert name in str(caught.value)


def test_truncated_gzip_library(tmp_path):
    data = gzip.compress(mgf(*[{"TITLE": f"E{n}"} for n in range(50)]).encode())
    (tmp_path / "lib.mgf.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="truncated"):
        Library(tmp_path / "lib.mgf.gz")
