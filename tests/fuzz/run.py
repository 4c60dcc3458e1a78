"""`make fuzz`: thousands of spoilt files for every reader, each reader in a process of its own.

    FUZZ_CASES=10000 FUZZ_READERS="mzML,CT" python tests/fuzz/run.py

Prints a table: reader, cases, refused, read, slowest case, peak memory. Ends with 1 if a reader
raised anything but `BadInput`, gave an answer that is not sane, took more than 10 s or 1 GB over
what it had before the first case, or killed its process; each finding says which case to repeat:

    python tests/fuzz/run.py "mzML" 4711
"""

import faulthandler
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import types
import warnings
from pathlib import Path

if "tests" not in sys.modules:  # an installed package has that name, too
    ours = types.ModuleType("tests")
    ours.__path__ = [str(Path(__file__).resolve().parents[1])]
    sys.modules["tests"] = ours

CASES = 10_000
SECONDS = 10
MEGABYTES = 1024
#: findings of one reader that are shown
SHOWN = 20


def peak() -> float:
    """Memory of this process at its highest, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(name: str, first: int, end: int, report: Path) -> None:
    """Cases `first` to `end` - 1 of a reader, in this process; the report is kept up to date."""
    from tests.fuzz.cases import READ, REFUSED, emptied, numbered, outcome
    from tests.fuzz.readers import READERS

    warnings.simplefilter("ignore")
    # bars and warnings are of no interest, but a death is
    sys.stderr = (report.parent / "stderr.txt").open("w")
    log = (report.parent / "hang.txt").open("w")
    reader, folder = READERS[name], report.parent / "case"
    counts = {READ: 0, REFUSED: 0}
    slowest, findings = 0.0, []
    for number in range(-1, 3):  # imports and caches are not the cases' memory
        outcome_or_none(reader, numbered(reader, name, -number - 1, emptied(folder)))
    before = peak()
    # an allocation beyond the limit fails, and is a finding
    size = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) << 10
    limit = size + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    last = 0.0
    for number in range(first, end):
        path = numbered(reader, name, number, emptied(folder))
        state = {
            "next": number + 1, "counts": counts, "slowest": slowest,
            "memory": peak() - before, "findings": findings,
        }  # fmt: skip
        if time.monotonic() - last > 0.5 or first + 1 == end:
            report.write_text(json.dumps(state))
            last = time.monotonic()
        (report.parent / "number").write_text(str(number))
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=log)
        began = time.perf_counter()
        try:
            counts[outcome(reader, path)] += 1
        except BaseException as error:  # a panic of a library in Rust is no Exception
            lines = traceback.extract_tb(error.__traceback__)
            own = [f for f in lines if "priorwise" in f.filename] or list(lines)
            findings.append(
                f"case {number} ({path.name}): {type(error).__name__}: {str(error)[:150]!r} "
                f"at {Path(own[-1].filename).name}:{own[-1].lineno}"
            )
            if len(findings) >= SHOWN:
                break
        faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, time.perf_counter() - began)
    state = {
        "next": end, "counts": counts, "slowest": slowest,
        "memory": peak() - before, "findings": findings,
    }  # fmt: skip
    report.write_text(json.dumps(state))


def outcome_or_none(reader: object, path: Path) -> None:
    from tests.fuzz.cases import outcome

    try:
        outcome(reader, path)  # type: ignore[arg-type]
    except BaseException:
        return


def fuzz(name: str, first: int, end: int) -> dict:
    """All cases of a reader; a process that dies is a finding, and the next case goes on."""
    total = {"counts": {"read": 0, "refused": 0}, "slowest": 0.0, "memory": 0.0, "findings": []}
    while first < end and len(total["findings"]) < SHOWN:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            report = Path(folder, "report.json")
            command = [sys.executable, __file__, "--work", name, str(first), str(end)]
            done = subprocess.run([*command, str(report)], stdout=subprocess.DEVNULL)
            found = json.loads(report.read_text()) if report.exists() else {}
            at = Path(folder, "number")
            number = int(at.read_text()) if at.exists() else first
            for key in ("read", "refused"):
                total["counts"][key] += found.get("counts", {}).get(key, 0)
            for key in ("slowest", "memory"):
                total[key] = max(total[key], found.get(key, 0.0))
            total["findings"] += found.get("findings", [])
            if done.returncode == 0:
                break
            hang = Path(folder, "hang.txt")
            why = hang.read_text() if hang.exists() else ""
            said = Path(folder, "stderr.txt")
            why = why or (said.read_text(errors="replace")[-900:] if said.exists() else "")
            total["findings"].append(f"case {number}: exit {done.returncode}: {why[:900]}")
            first = number + 1
    return total


def main() -> int:
    words = sys.argv[1:]
    if words[:1] == ["--work"]:
        work(words[1], int(words[2]), int(words[3]), Path(words[4]))
        return 0
    from tests.fuzz.readers import READERS

    names = [n for n in os.environ.get("FUZZ_READERS", "").split(",") if n] or list(READERS)
    first, end = 0, int(os.environ.get("FUZZ_CASES", CASES))
    if len(words) == 2:
        names, first = [words[0]], int(words[1])
        end = first + 1
    if len(words) not in (0, 2) or not set(names) <= set(READERS):
        print(f"expected nothing, or a reader and a case; readers: {', '.join(READERS)}")
        return 2
    print(f"{'reader':16} {'cases':>7} {'refused':>8} {'read':>7} {'slowest s':>10} {'+MB':>6}")
    bad = 0
    for name in names:
        found = fuzz(name, first, end)
        counts, findings = found["counts"], found["findings"]
        cases = sum(counts.values()) + len(findings)
        print(
            f"{name:16} {cases:7} {counts['refused']:8} {counts['read']:7} "
            f"{found['slowest']:10.2f} {found['memory']:6.0f}",
            flush=True,
        )
        slow = [f"slowest case {found['slowest']:.1f} s"] if found["slowest"] > SECONDS else []
        big = [f"{found['memory']:.0f} MB"] if found["memory"] > MEGABYTES else []
        for finding in [*findings, *slow, *big]:
            bad += 1
            print(f"  FINDING {finding}", flush=True)
    print(f"{bad} findings")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
