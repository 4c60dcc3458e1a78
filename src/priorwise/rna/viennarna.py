"""ViennaRNA (the extra `rna`): the only module that imports it.

Its energies are global, and it remembers what it made of them: every use here loads its own, and
the defaults again afterwards.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.rna.structure import pairs_of

#: sets of energy parameters: Turner (2004), the default of ViennaRNA; Andronescu et al. (2007) and
#: Langdon et al. (2018), both fitted to known structures
Parameters = Literal["turner2004", "andronescu2007", "langdon2018"]
_LOADERS: dict[Parameters, str] = {
    "turner2004": "params_load_RNA_Turner2004",
    "andronescu2007": "params_load_RNA_Andronescu2007",
    "langdon2018": "params_load_RNA_Langdon2018",
}
#: up to this length (nt) no partition function overflows; beyond, it is scaled by the least energy
SHORT = 150
#: the parameters are global in ViennaRNA
_parameters_in_use = Lock()


def viennarna() -> Any:
    """ViennaRNA's module; BadInput with the command that installs it, if it is missing."""
    try:
        import RNA
    except ImportError as error:
        raise BadInput(
            "RNAfold and pair probabilities need the extra `rna` (pip install ViennaRNA==2.7.2, or "
            "`pip install -e '.[rna]'` in the project)"
        ) from error
    return RNA


def checked(parameters: Parameters) -> Parameters:
    """The name of a set, if it is one; else a ValueError."""
    if parameters not in get_args(Parameters):
        known = ", ".join(get_args(Parameters))
        raise ValueError(f"parameters: {parameters!r} (expected one of {known})")
    return parameters


@contextmanager
def _loaded(parameters: Parameters) -> Iterator[Any]:
    """ViennaRNA with these energies; its defaults are loaded again at the end."""
    rna = viennarna()
    with _parameters_in_use:
        _load(rna, parameters)
        try:
            yield rna
        finally:
            _load(rna, "turner2004")


def _load(rna: Any, parameters: Parameters) -> None:
    getattr(rna, _LOADERS[parameters])()
    # ViennaRNA 2.7.2 goes on with the energies it scaled last if the model is the same, though
    # others were loaded since (its issue 284); so let it scale these for another model
    other = rna.md()
    other.temperature -= 1
    rna.param(other)
    rna.exp_param(other)


def ensembles(sequences: Sequence[str], parameters: Parameters) -> list[NDArray[np.float32]]:
    """Pair probabilities of a few normalised sequences: symmetric, (L, L), in [0, 1].

    Loading the energies takes as long as folding one sequence (6 ms), so several share it.
    """
    found = []
    with _loaded(parameters) as rna:
        for sequence in sequences:
            if not sequence:
                found.append(np.zeros((0, 0), np.float32))
                continue
            compound = rna.fold_compound(sequence)
            if len(sequence) > SHORT:
                _, energy = compound.mfe()
                compound.exp_params_rescale(energy)
            compound.pf()
            upper = np.array(compound.bpp(), np.float32)[1:, 1:]
            found.append(np.minimum(upper + upper.T, 1))  # sums of rounded numbers
    return found


def minimum_free_energies(sequences: Sequence[str]) -> list[NDArray[np.int32]]:
    """Pairs of the most stable structure of a few normalised sequences."""
    with _loaded("turner2004") as rna:
        return [pairs_of(rna.fold_compound(s).mfe()[0] if s else "") for s in sequences]


def is_installed() -> bool:
    """Whether ViennaRNA can be imported."""
    return find_spec("RNA") is not None
