"""What no file may do, seen in its syntax tree; each rule is also tried on an offender."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
#: the only reader of a pickle; it rebuilds arrays of numbers and calls nothing (tests/benchmarks)
READS_A_PICKLE = "benchmarks/mnist.py"
#: the wheels it downloads are unpacked by name of member; no path of an archive is used
OPENS_AN_ARCHIVE = "benchmarks/wheels.py"
#: looks into the table of contents, so that nothing that expands is loaded
READS_A_TABLE_OF_CONTENTS = "src/priorwise/learn/plain_checkpoint.py"
#: whoever makes a run must also end it
MAKES_RUNS = ("src/priorwise/tracking/runs.py", "benchmarks/speed_tracking.py")
#: what others do, measured as they do it
PUBLISHED = "benchmarks/baseline_run.py"
#: they fork before anything of theirs has a thread
FORKS_EARLY = ("benchmarks/report.py", "benchmarks/soak_files.py")
FOLDERS = ("src", "entry_points", "notebooks", "benchmarks")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

UNPICKLERS = {
    "pickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
PICKLE_CALLS = {"read_pickle", "to_pickle", "Unpickler", "load_learner"}
ARCHIVES = {"tarfile", "zipfile"}
UNPACKERS = {"extractall", "extract", "unpack_archive"}
URL_LOADERS = {"load_from_checkpoint", "load_state_dict_from_url", "urlretrieve", "load_url"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
SHELLS |= {"os.execl", "os.execvp", "os.spawnl", "commands.getoutput", "pty.spawn"}
SAFE_YAML = {"safe_load", "safe_dump", "YAMLError"}
XML_PARSERS = {"iterparse", "parse", "fromstring", "XML", "XMLParser", "XMLPullParser"}
RUN_MAKERS = {"start_run", "create_run"}
FORKING = {"os.fork", "os.forkpty", "multiprocessing.Process", "multiprocessing.Pool"}
AUTOLOGGERS = {"autolog", "MLFlowLogger"}

Rule = Callable[[ast.AST], bool]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; what stands before a call or an index is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.AST) -> str:
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def last(name: str) -> str:
    return name.rpartition(".")[2]


def imported(node: ast.AST) -> set[str]:
    """Top packages that an import statement, or `import_module("...")`, names."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    if last(called(node)) == "import_module" and isinstance(node.args[0], ast.Constant):
        return {str(node.args[0].value).partition(".")[0]}
    return set()


def keyword(node: ast.AST, name: str) -> ast.expr | None:
    return next((k.value for k in getattr(node, "keywords", []) if k.arg == name), None)


def is_literal(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def unpickles(node: ast.AST) -> bool:
    numpy_load = called(node) in {"np.load", "numpy.load"}
    allowed = keyword(node, "allow_pickle")
    return bool(
        imported(node) & UNPICKLERS
        or last(called(node)) in PICKLE_CALLS
        or (allowed is not None and not is_literal(allowed, False))
        or (numpy_load and not is_literal(allowed, False))
    )


def loads_weights_unsafely(node: ast.AST) -> bool:
    """`torch.load`, and a fit that takes up a checkpoint, say `weights_only=True` themselves."""
    resumes = keyword(node, "ckpt_path") is not None
    given = keyword(node, "weights_only")
    if called(node) == "torch.load" or resumes:
        return not is_literal(given, True)
    return given is not None and not is_literal(given, True)


def loads_from_an_address(node: ast.AST) -> bool:
    return last(called(node)) in URL_LOADERS or "torch.hub" in dotted(node)


def starts_a_shell(node: ast.AST) -> bool:
    shell = keyword(node, "shell")
    return called(node) in SHELLS or (shell is not None and not is_literal(shell, False))


def runs_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILTINS
    )


def reads_yaml_unsafely(node: ast.AST) -> bool:
    name = dotted(node)
    return name.startswith("yaml.") and last(name) not in SAFE_YAML


def reads_xml_unsafely(node: ast.AST) -> bool:
    """lxml expands entities unless told otherwise; the standard library's parsers always do."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = getattr(node, "module", "") or ""
        names = {alias.name for alias in node.names} | {module}
        return any(name.startswith(("xml.etree", "xml.dom", "xml.sax")) for name in names)
    name = called(node)
    parser = name.startswith("etree.") and last(name) in XML_PARSERS
    return parser and not is_literal(keyword(node, "resolve_entities"), False)


def unpacks_an_archive(node: ast.AST) -> bool:
    return bool(imported(node) & ARCHIVES and not is_exception_import(node)) or (
        last(called(node)) in UNPACKERS and not last(called(node)) == "extract"
    )


def is_exception_import(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and {a.name for a in node.names} == {"BadZipFile"}


def makes_a_run(node: ast.AST) -> bool:
    return last(called(node)) in RUN_MAKERS


def logs_by_itself(node: ast.AST) -> bool:
    """Autologging sends what nobody looked at; asynchronous logging loses metrics (case 6)."""
    names = {last(called(node))} | {
        alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)
    }
    waits = keyword(node, "synchronous")
    return bool(names & AUTOLOGGERS) or (waits is not None and not is_literal(waits, True))


def trusts_any_certificate(node: ast.AST) -> bool:
    verify = keyword(node, "verify")
    return verify is not None and is_literal(verify, False)


def guesses_a_temporary_name(node: ast.AST) -> bool:
    return called(node) in {"tempfile.mktemp", "mktemp", "os.tmpnam", "os.tempnam"}


def forks(node: ast.AST) -> bool:
    """A forked process has the locks of Lance's and PyTorch's threads, but not the threads."""
    if not isinstance(node, ast.Call):
        return False
    name = called(node)
    chosen = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    how = last(name) in {"get_context", "set_start_method"} and "fork" in chosen
    pool = last(name) == "ProcessPoolExecutor" and keyword(node, "mp_context") is None
    return how or pool or name in FORKING


#: rule -> files that may break it, lines that do
RULES: dict[Rule, tuple[tuple[str, ...], tuple[str, ...]]] = {
    unpickles: (
        (READS_A_PICKLE,),
        (
            "import pickle",
            "from pickle import loads",
            "import cloudpickle as c",
            "import_module('dill')",
            "pd.read_pickle(path)",
            "np.load(path)",
            "np.load(path, allow_pickle=True)",
            "np.savez(path, a, allow_pickle=flag)",
        ),
    ),
    loads_weights_unsafely: (
        (),
        (
            "torch.load(path)",
            "torch.load(path, weights_only=False)",
            "torch.load(path, weights_only=trusted)",
            "trainer.fit(module, ckpt_path=path)",
            "trainer.fit(module, ckpt_path=path, weights_only=None)",
        ),
    ),
    loads_from_an_address: (
        (),
        (
            "Module.load_from_checkpoint(path)",
            "torch.hub.load('a', 'b')",
            "torch.hub.load_state_dict_from_url(url)",
            "urlretrieve(url, path)",
        ),
    ),
    starts_a_shell: (
        (),
        (
            "subprocess.run(line, shell=True)",
            "subprocess.run(line, shell=flag)",
            "os.system(line)",
            "os.popen(line)",
            "subprocess.getoutput(line)",
        ),
    ),
    runs_text: ((), ("eval(text)", "exec(text)", "compile(text, '', 'exec')", "__import__(name)")),
    reads_yaml_unsafely: (
        (),
        (
            "yaml.load(text, Loader=yaml.SafeLoader)",
            "yaml.unsafe_load(text)",
            "yaml.full_load(text)",
            "yaml.load_all(text)",
            "read = yaml.load",
        ),
    ),
    reads_xml_unsafely: (
        (),
        (
            "import xml.etree.ElementTree as ET",
            "from xml.dom import minidom",
            "etree.parse(path)",
            "etree.iterparse(stream, resolve_entities=True)",
        ),
    ),
    unpacks_an_archive: (
        (OPENS_AN_ARCHIVE, READS_A_TABLE_OF_CONTENTS),
        (
            "import tarfile",
            "from zipfile import ZipFile",
            "archive.extractall(folder)",
            "shutil.unpack_archive(path)",
        ),
    ),
    makes_a_run: (MAKES_RUNS, ("mlflow.start_run()", "client.create_run(experiment)")),
    logs_by_itself: (
        (PUBLISHED,),
        (
            "mlflow.autolog()",
            "mlflow.pytorch.autolog()",
            "from lightning.pytorch.loggers import MLFlowLogger",
            "client.log_batch(run, synchronous=False)",
        ),
    ),
    trusts_any_certificate: ((), ("requests.get(url, verify=False)",)),
    guesses_a_temporary_name: ((), ("tempfile.mktemp()",)),
    forks: (
        FORKS_EARLY,
        (
            "os.fork()",
            "multiprocessing.get_context('fork')",
            "set_start_method('fork')",
            "ProcessPoolExecutor(2)",
            "multiprocessing.Process(target=work)",
        ),
    ),
}


def offences(rule: Rule, tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if rule(node):
            yield getattr(node, "lineno", 0)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}


def test_every_folder_is_looked_at(trees):
    assert len(trees) > 250
    assert {name.partition("/")[0] for name in trees} == set(FOLDERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_breaks(rule, trees):
    excused, _ = RULES[rule]
    found = {
        f"{name}:{line}"
        for name, tree in trees.items()
        if name not in excused
        for line in offences(rule, tree)
    }
    assert not found


def test_no_test_forks():
    """Its process has had threads since the first table was read; a child may wait forever."""
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "tests").rglob("*.py")
        for line in offences(forks, ast.parse(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_excuse_is_needed(rule, trees):
    """A file that stopped breaking a rule must not stay free to break it."""
    excused, _ = RULES[rule]
    assert [name for name in excused if not any(offences(rule, trees[name]))] == []


@pytest.mark.parametrize(
    ("rule", "line"),
    [(rule, line) for rule, (_, lines) in RULES.items() for line in lines],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_an_offender_is_seen(rule, line):
    assert list(offences(rule, ast.parse(line))) != []


@pytest.mark.parametrize(
    "line",
    [
        "network.eval()",
        "re.compile(text)",
        "torch.load(path, map_location='cpu', weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "subprocess.run([word, other], check=True)",
        "yaml.safe_load(text)",
        "etree.iterparse(stream, resolve_entities=False)",
        "from zipfile import BadZipFile",
        "requests.get(url, timeout=10)",
        "multiprocessing.get_context('spawn')",
        "ProcessPoolExecutor(2, mp_context=context)",
        "'pickle.load, eval( and shell=True in a text'",
    ],
)
def test_what_is_allowed_is_not_seen(line):
    assert [rule.__name__ for rule in RULES if any(offences(rule, ast.parse(line)))] == []


# --- what is no Python --------------------------------------------------------------------------


def shell_lines() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "Makefile", ROOT / "slurm/run.sbatch", ROOT / ".ci/run"):
        for line in path.read_text().splitlines():
            yield path.name, line


def test_no_script_evaluates_text_or_pipes_the_network_into_a_shell():
    bad = re.compile(r"(^|[\s;&|])eval\s|curl[^|]*\|\s*(ba)?sh|wget[^|]*\|\s*(ba)?sh")
    assert [(name, line) for name, line in shell_lines() if bad.search(line)] == []
    assert bad.search("curl https://x | sh") and bad.search("  eval $words")


def documents() -> list[Path]:
    return [
        ROOT / "Makefile",
        ROOT / "slurm/run.sbatch",
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
    ]


SERVERS = re.compile(r"mlflow (?:ui|server|models serve)\b[^`\n]*")


def test_servers_in_commands_bind_to_this_machine():
    """An MLflow server asks nobody for a password: what we tell users to start stays local."""
    told = [
        (path.name, found[0])
        for path in documents()
        for found in SERVERS.finditer(path.read_text())
    ]
    commands = [(name, line) for name, line in told if " -" in line]  # others are only named
    assert {name for name, _ in commands} >= {"Makefile", "README.md"}
    for name, line in commands:
        host = re.search(r"(?:--host|-h)[ =](\S+)", line)
        assert host is None or host[1] in {"127.0.0.1", "localhost"}, f"{name}: {line}"


def test_every_entry_point_is_a_script_without_logic():
    """No value can be used before the argument parser has seen it."""
    for path in sorted((ROOT / "entry_points").glob("*.py")):
        _, imports, main = ast.parse(path.read_text()).body
        assert isinstance(imports, ast.ImportFrom) and imports.module == "priorwise.cli"
        (call,) = main.body
        assert ast.unparse(call) == f"run_entry({path.stem!r})", path.name


def test_the_commands_of_mlproject_are_one_program_and_its_flags():
    """No pipe, no second command, no variable: what MLflow quotes is all that varies."""
    entries = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    flags = r"(?: --\w+ \{\w+\})*"
    for name, entry in entries.items():
        form = rf"PYTHONPATH=src python -P entry_points/{name}\.py{flags}"
        assert re.fullmatch(form, " ".join(entry["command"].split())), name
