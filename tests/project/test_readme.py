"""What the documents say can be done, can be done: commands, parameters, files, links, numbers."""

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from priorwise.phases.prior_use import RECIPE
from priorwise.pu.rates import alpha_of, class_prior

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ENTRIES = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "docs" / "reliability.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
    *sorted((ROOT / "configs").glob("*.yaml")),
    *sorted((ROOT / "notebooks").glob("*.py")),
    ROOT / "slurm" / "run.sbatch",
    ROOT / "src" / "priorwise" / "phases" / "nnpu_train.py",  # it prints a command
]
MARKDOWN = [path for path in DOCUMENTS if path.suffix == ".md"]
#: parameters of every entry point
COMMON = {"config", "seed", "out"}
#: where a text speaks of any entry point
STANDS_FOR_ANY = {"NAME", "ENTRY", "$entry"}
MAX_WORDS = 8


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def section(title: str) -> str:
    """Text of a README section, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, f"no section {title!r}"
    return found[1]


def table_rows(text: str) -> list[list[str]]:
    """Cells of the rows of a markdown table, without its head."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return rows[2:]


# --- commands -------------------------------------------------------------------------------------


def commands(path: Path, pattern: str) -> list[list[str]]:
    """Words of each command in a document that matches `pattern` from its start."""
    text = path.read_text().replace("\\\n", " ")
    found = re.findall(rf"(?<![\w/-]){pattern} (?!\()[^`\n]*", text)
    # outside markdown, a command in prose ends at the quote, parenthesis or comma behind it
    ends = re.compile(r"$^" if path.suffix == ".md" else r"[\")]\s*$|\)\s.*$|,\s.*$")
    return [shlex.split(ends.sub("", line)) for line in found]


MLFLOW_RUNS = [(path, words) for path in DOCUMENTS for words in commands(path, r"mlflow run \.")]
SBATCH_RUNS = [
    (path, words)
    for path in DOCUMENTS
    for words in commands(path, r"sbatch (?:[^`\n]* )?slurm/run\.sbatch")
]


def parameters(words: list[str]) -> dict[str, str]:
    given = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-P"]
    assert all("=" in text for text in given), words
    return dict(text.split("=", 1) for text in given)


def check_parameters(entry: str, given: dict[str, str]) -> None:
    assert entry in ENTRIES
    assert set(given) <= set(ENTRIES[entry]["parameters"]), entry
    for name in ("config", "split"):
        if given.get(name, "").startswith("configs/"):
            assert (ROOT / given[name]).is_file(), given[name]


def test_there_are_commands_to_check():
    assert len(MLFLOW_RUNS) > 15
    assert {path.name for path, _ in MLFLOW_RUNS} >= {"README.md", "guide.yaml", "demo.yaml"}


@pytest.mark.parametrize(
    ("path", "words"), MLFLOW_RUNS, ids=[f"{p.name}-{' '.join(w)}" for p, w in MLFLOW_RUNS]
)
def test_mlflow_run_commands_exist(path, words):
    flags = [word for word in words[3:] if word.startswith("-")]
    assert set(flags) <= {"-e", "-P", "--env-manager", "--run-name"}
    if "-e" in words and (entry := words[words.index("-e") + 1]) not in STANDS_FOR_ANY:
        check_parameters(entry, parameters(words))
    if "--env-manager" in words:
        assert words[words.index("--env-manager") + 1] in {"uv", "local"}


def test_sbatch_commands_exist():
    checked = 0
    for _, words in SBATCH_RUNS:
        entry, *pairs = words[words.index("slurm/run.sbatch") + 1 :]
        if entry in STANDS_FOR_ANY:
            continue
        check_parameters(entry, dict(pair.split("=", 1) for pair in pairs))
        checked += 1
    assert checked >= 3


def test_the_examples_use_every_entry_point():
    shown = {w[w.index("-e") + 1] for p, w in MLFLOW_RUNS if p.name == "README.md" and "-e" in w}
    assert shown >= set(ENTRIES) - {"simulate"}


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    for path in MARKDOWN:
        named = set(re.findall(r"`make ([a-z-]+)[ `]", path.read_text()))
        assert named <= targets, name_of(path)


def test_the_ui_command_is_the_one_that_make_demo_prints():
    makefile = (ROOT / "Makefile").read_text()
    [printed] = re.findall(r'echo "\$\(VENV\)(/bin/mlflow ui [^"]*)"', makefile)
    assert ".venv" + printed.replace("$$MLFLOW_TRACKING_URI", "sqlite:///mlflow.db") in README


# --- the entry-point table ------------------------------------------------------------------------


def test_the_table_lists_every_entry_point_and_every_parameter():
    stated, bold = {}, {}
    for name, _, text in table_rows(section("Entry points")):
        words = set(re.findall(r"\w+", text))
        stated[name.strip("`")] = words
        bold[name.strip("`")] = set(re.findall(r"\*\*(\w+)\*\*", text))
    assert set(stated) == set(ENTRIES)
    trainings = set(ENTRIES["bce_pretrain"]["parameters"]) - {"polarity", "pos_weight"}
    for entry, definition in ENTRIES.items():
        wanted = set(definition["parameters"]) - COMMON
        if entry == "nnpu_train":  # the table says "those of bce_pretrain but ..."
            wanted -= trainings
            assert wanted <= stated[entry]
            continue
        assert stated[entry] == wanted, entry
    for entry, definition in ENTRIES.items():
        own = {
            name for name, value in definition["parameters"].items() if value["default"] != "auto"
        }
        if entry == "nnpu_train":
            own -= trainings
        assert bold[entry] == own, f"{entry}: bold = has a default of its own in MLproject"
        assert COMMON <= set(definition["parameters"])


def test_every_phase_parameter_in_backticks_exists():
    known = {name for entry in ENTRIES.values() for name in entry["parameters"]}
    for name in re.findall(r"`(\w+)=[\w-]+`", README):
        assert name in known | {"complete"}, name


def test_the_recipe_that_nnpu_train_recommends_is_the_one_in_the_readme():
    assert RECIPE == "configs/recommended.yaml" and (ROOT / RECIPE).exists()
    assert f"({RECIPE})" in README


# --- the file tree --------------------------------------------------------------------------------


def tree() -> list[tuple[str, str]]:
    """(path, words) of each line of the annotated tree."""
    [block] = re.findall(r"```text\n(.*?)```", section("What is where"), re.S)
    entries, parents = [], []
    for line in block.splitlines():
        name, words = re.fullmatch(r"\s*(\S+)\s{2,}(.*)|\s*(\S+)", line).group(1, 2)
        name = name or line.strip()
        depth = (len(line) - len(line.lstrip())) // 2
        parents = [*parents[:depth], name]
        entries.append(("".join(parents), words or ""))
    return entries


TREE = tree()


def tracked() -> list[str]:
    """Files that are, or are about to be, in the repository."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout: cannot tell which files belong to the project")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if (ROOT / line).exists()]


@pytest.mark.parametrize(("path", "words"), TREE, ids=[path for path, _ in TREE])
def test_everything_in_the_tree_exists_and_is_said_briefly(path, words):
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()
    assert len(words.split()) <= MAX_WORDS
    # a folder may go without words if its content is listed
    assert words or any(p.startswith(path) and p != path for p, _ in TREE)


def test_everything_at_the_top_and_every_package_is_in_the_tree():
    listed = {path.rstrip("/").split("/")[0] for path, _ in TREE}
    present = {line.split("/")[0] for line in tracked()}
    assert present <= listed, f"not in the README's tree: {sorted(present - listed)}"
    packages = {p.parent for p in (ROOT / "src/priorwise").glob("*/__init__.py")}
    named = {ROOT / path for path, _ in TREE}
    assert packages <= named, f"not in the README's tree: {sorted(map(str, packages - named))}"


def test_every_phase_and_recipe_is_in_the_tree():
    named = {path for path, _ in TREE}
    for path in [*(ROOT / "src/priorwise/phases").glob("*.py"), *(ROOT / "configs").glob("*")]:
        assert path.name == "__init__.py" or name_of(path) in named, name_of(path)


# --- links ----------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return text.strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_internal_links_resolve(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+://", target):
            continue
        file, _, fragment = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), target
        assert not fragment or fragment in anchors(aim), target


def test_every_promise_of_the_security_page_names_a_test():
    text = (ROOT / "SECURITY.md").read_text()
    [promises] = re.findall(r"^## What we check\n(.*?)^## ", text, re.M | re.S)
    rows = table_rows(promises)
    assert len(rows) > 10
    for promise, tests in rows:
        named = re.findall(r"`(tests/[\w/.]+)`", tests)
        assert named, promise
    for name in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


def test_what_the_page_on_reliability_names_exists():
    text = (ROOT / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)", text))
    assert len(named) > 30
    for name in named:
        assert any((ROOT / folder / name).exists() for folder in ("", "tests")), name
    cases: set[int] = set()
    for numbers, *_ in table_rows(text.partition("## The named cases")[2]):
        for part in numbers.split(","):
            first, _, last = part.partition(" to ")
            cases |= set(range(int(first), int(last or first) + 1))
    assert cases == set(range(1, 116))


# --- numbers --------------------------------------------------------------------------------------


def test_the_worked_example_is_right():
    pi = class_prior(0.267, 0.5889)
    assert f"{pi:.4f}"[1:] == ".4534" and ".267 / .5889 = .4534" in README
    assert f"{alpha_of(0.4534, 0.267):.4f}"[1:] == ".2543"


def test_the_shares_of_the_two_priors_are_right():
    text = " ".join(section("Which prior, which scenario?").split())
    for s, c in ((0.267, 0.5889), (0.128, 0.4486)):
        pi = class_prior(s, c)
        alpha = alpha_of(pi, s)
        assert f"{pi:.4f}"[1:] + " in place of " + f"{alpha:.4f}"[1:] in text
        assert f"{pi / alpha:.2f} times" in text


def test_the_shares_cited_from_the_notebook_are_in_its_output():
    notebook = nbformat.read(ROOT / "notebooks/01_priors_on_simulated_spectra.ipynb", as_version=4)
    pages = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "predicted positive" in output.get("data", {}).get("text/html", "")
    ]
    table = pd.read_html(io.StringIO(pages[0]), index_col=[0, 1])[0]
    predicted = table.xs("published", level=1)["predicted positive"]
    pi = table.xs("published", level=1)["pi"]
    text = " ".join(section("Which prior, which scenario?").split())
    shares = [f"{100 * value:.0f} %" for value in predicted[["positive", "negative"]]]
    assert f"{shares[0]} (positive mode) and {shares[1]} (negative mode)" in text
    true = [f"{100 * value:.0f} %" for value in pi[["positive", "negative"]]]
    assert f"while {true[0]} and {true[1]} are" in text


def test_the_guide_table_copies_no_number():
    rows = table_rows(section("From the hand-run guide to tracked runs"))
    assert len(rows) >= 8
    for _, command in rows:
        assert not re.search(r"=\s*\d|\d\.\d", command), command


def test_every_exit_code_is_listed():
    errors = (ROOT / "src/priorwise/errors.py").read_text()
    codes = set(re.findall(r"exit_code = (\d)", errors))
    listed = {
        code
        for cells in table_rows(section("What every run promises"))
        for code in cells[0].split(", ")
    }
    assert listed >= codes | {"0", "143", "130"}


def test_documents_name_no_machine_path():
    for path in DOCUMENTS:
        assert not re.search(r"(?<![\w.])/(work|tmp|root)/", path.read_text()), name_of(path)
