"""A folder with a store of its own, in which phases run in this process or as real scripts."""

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Path(__file__).parent / "tiny.yaml"
BIN = Path(sys.executable).parent
PROJECT_FILES = ("MLproject", "conda.yaml", "pyproject.toml", "src", "entry_points", "configs")
#: variables of the shell that started pytest and must not reach a phase
FOREIGN = ("MLFLOW_", "AWS_", "PRIORWISE", "LOCAL_RANK", "NODE_", "SLURM_", "PYTHONPATH")
STORE = "mlflow.db"
#: phases without a parameter `data`
WITHOUT_DATA = (
    *("simulate", "ingest", "score", "promote", "plot_metrics", "rna_prepare"),
    *("sync_run", "janitor", "doctor"),
)


@dataclass(frozen=True)
class Outcome:
    """How a phase ended."""

    code: int
    out: str
    err: str


@dataclass
class Workplace:
    """Runs phases in `folder`, on the tables in `data` and the recipe of the tests."""

    folder: Path
    data: Path
    uri: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.uri = self.uri or f"sqlite:///{self.folder / STORE}"

    @classmethod
    def copy_of(cls, source: Path, folder: Path, data: Path) -> "Workplace":
        """A workplace that begins with the runs and artifacts of another."""
        shutil.copytree(source, folder)
        with sqlite3.connect(folder / STORE) as database:
            for table, column in (
                ("runs", "artifact_uri"),
                ("experiments", "artifact_location"),
                ("logged_models", "artifact_location"),
                ("model_versions", "storage_location"),
            ):
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                    (str(source), str(folder)),
                )
        database.close()
        return cls(folder, data)

    def flags(self, phase: str, parameters: Mapping[str, Any]) -> list[str]:
        """Command line of a phase: the recipe and the tables, unless others are given."""
        given = {"config": RECIPE, "data": self.data}
        # they make tables, or read others
        if phase in WITHOUT_DATA:
            del given["data"]
        given |= parameters
        return [f"--{name}={value}" for name, value in given.items()]

    def phase(self, phase: str, **parameters: Any) -> Outcome:
        """Run a phase in this process; what it does to the process is undone."""
        from priorwise import cli

        out, err = io.StringIO(), io.StringIO()
        with own_process(self), redirect_stdout(out), redirect_stderr(err):
            code = cli._run(phase, self.flags(phase, parameters))
        return Outcome(code, out.getvalue(), err.getvalue())

    def shell(self) -> dict[str, str]:
        """Environment of a phase."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        return kept | {
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }

    def script(self, project: Path, phase: str, **parameters: Any) -> subprocess.Popen[str]:
        """Start a phase as `mlflow run` would, without the runner."""
        script = [sys.executable, "-P", project / "entry_points" / f"{phase}.py"]
        return self.start(
            [*script, *self.flags(phase, parameters)], {"PYTHONPATH": str(project / "src")}
        )

    def mlflow_run(self, project: Path, phase: str, **parameters: Any) -> subprocess.Popen[str]:
        """Start a phase through the real runner."""
        words = [BIN / "mlflow", "run", project, "-e", phase, "--env-manager", "local"]
        given = [flag.removeprefix("--") for flag in self.flags(phase, parameters)]
        return self.start([*words, *(word for flag in given for word in ("-P", flag))], {})

    def start(self, command: list[Any], variables: dict[str, str]) -> subprocess.Popen[str]:
        """Start a process whose standard error is in stderr.txt, also while it runs."""
        with (
            (self.folder / "stdout.txt").open("w") as out,
            (self.folder / "stderr.txt").open("w") as err,
        ):
            return subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=self.shell() | variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
            )

    @property
    def stderr(self) -> str:
        """What the process started last has written."""
        return (self.folder / "stderr.txt").read_text()

    @property
    def stdout(self) -> str:
        """What the process started last has written."""
        return (self.folder / "stdout.txt").read_text()

    @property
    def client(self) -> Any:
        """A client of the store."""
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self, phase: str = "") -> list[Any]:
        """All runs (of a phase), deleted ones too, newest first.

        A run that ended before its inputs were read has no phase tag yet, only a name.
        """
        everywhere = [e.experiment_id for e in self.client.search_experiments()]
        found = self.client.search_runs(everywhere, run_view_type=3)
        return [r for r in found if phase in ("", r.data.tags.get("phase"), r.info.run_name)]

    def run(self, phase: str, polarity: str = "") -> Any:
        """The newest run of a phase."""
        fit = [r for r in self.runs(phase) if polarity in ("", r.data.tags.get("polarity"))]
        return fit[0]

    def artifact(self, run: Any, name: str) -> Path:
        """Where an artifact of a run lies in a local store."""
        return Path(run.info.artifact_uri.removeprefix("file://")) / name

    def model(self, run: Any) -> Path:
        """The pyfunc model a run logged, in a local store."""
        logged = self.client.get_logged_model(run.data.tags["model.id"])
        return Path(logged.artifact_location.removeprefix("file://"))

    def network_folder(self, run: Any) -> Path:
        """Weights and description of the model a run logged, in a local store."""
        return self.model(run) / "artifacts" / "network"

    def checkpoint(self, run: Any) -> Path:
        """The best checkpoint of a run, in a local store."""
        return self.artifact(run, run.data.tags["checkpoint.path"])


def blank(folder: Path) -> Path:
    """Make an empty store in `folder`; its artifacts go to `folder`/mlruns."""
    place = Workplace(folder, folder)
    with own_process(place):
        place.client.search_experiments()
    return folder


@contextmanager
def own_process(place: Workplace) -> Iterator[None]:
    """Working folder, environment and signal handlers of a phase, put back afterwards."""
    before, folder = dict(os.environ), Path.cwd()
    taken = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    handlers = {number: signal.getsignal(number) for number in taken}
    shell = place.shell()
    os.environ.clear()
    os.environ.update(shell)
    os.chdir(place.folder)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
