"""`import mixdyn` stays light: what is heavy is imported by the name that needs it."""

import importlib
import pickle
import subprocess
import sys

import pytest

import mixdyn

HEAVY = ["torch", "sympy", "matplotlib", "numba", "scipy", "flint", "hypothesis", "rich", "typer"]


def run(code):
    """The words printed by a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split()


def loaded_by(statement):
    return set(run(f"import sys; {statement}; print(*[m for m in {HEAVY} if m in sys.modules])"))


def test_importing_the_package_imports_nothing_heavy():
    assert loaded_by("import mixdyn; dir(mixdyn)") == set()


def test_building_and_saving_parameter_objects_imports_nothing_heavy():
    statement = "import mixdyn; mixdyn.presets.grid().digest; mixdyn.NoiseSchedule.linear().rho"
    assert loaded_by(statement) == set()


def test_sampling_needs_numba_but_neither_symbols_nor_pictures_nor_torch():
    names = "mixdyn.sample, mixdyn.integrate_ode, mixdyn.observers, mixdyn.classify"
    assert not loaded_by(f"import mixdyn; {names}") & {"torch", "sympy", "matplotlib", "hypothesis"}


@pytest.mark.parametrize("name", [name for name in mixdyn.__all__ if name != "__version__"])
def test_every_public_name_resolves_to_something_documented(name):
    assert getattr(mixdyn, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'mixdyn' has no attribute 'nothing'"):
        _ = mixdyn.nothing


@pytest.mark.parametrize(("old", "home"), mixdyn._MOVED.items())
def test_a_module_that_moved_is_found_under_its_old_name_with_a_warning(old, home):
    sys.modules.pop(f"mixdyn.{old}", None)
    module = importlib.import_module(f"mixdyn.{home}")
    with pytest.warns(DeprecationWarning, match=rf"mixdyn\.{home} now"):
        assert importlib.import_module(f"mixdyn.{old}") is module
    assert module.__spec__.name == f"mixdyn.{home}"
    vars(mixdyn).pop(old, None)
    assert getattr(mixdyn, old) is module


def test_a_mixture_pickled_under_the_old_name_is_read():
    mixture = mixdyn.presets.two_modes()
    old = pickle.dumps(mixture, protocol=0).replace(b"mixdyn.problem.mixture", b"mixdyn.mixture")
    sys.modules.pop("mixdyn.mixture", None)
    with pytest.warns(DeprecationWarning, match="mixdyn.problem.mixture now"):
        assert pickle.loads(old) == mixture


def test_a_mixtures_density_looks_for_no_sampler():
    code = (
        "import sys, mixdyn; mixture = mixdyn.presets.grid(); mixture.log_density(mixture.means); "
    )
    assert run(code + "print(*[m for m in sys.modules if m.startswith('mixdyn.samplers')])") == []
