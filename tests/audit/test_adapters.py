"""Samplers by name: a library's by its adapter, a user's by its module."""

import pkgutil
import subprocess
import sys

import numpy as np
import pytest

from mixdyn import transcribe
from mixdyn.audit import adapters
from mixdyn.support.errors import InputError, MissingExtraError

MODULE = """
import numpy as np

def euler(model, x, rng, steps=4, high=10.0):
    sigmas = np.append(np.geomspace(high, 0.1, steps), 0.0)
    for now, then in zip(sigmas[:-1], sigmas[1:]):
        x = x + (x - model(x, now)) / now * (then - now)
    return x

constant = 3.0
"""
ADAPTER = '''
"""An adapter of a library that is not there."""
from mixdyn.audit.adapters import needed

def driver(name, steps, settings):
    needed("no_such_library", "pip install no-such-library==1.0")
'''


def test_a_function_of_a_module_is_transcribed_by_name(tmp_path, monkeypatch):
    (tmp_path / "their_samplers.py").write_text(MODULE)
    (tmp_path / "their_slips.py").write_text("def euler(:")
    (tmp_path / "their_failures.py").write_text("raise RuntimeError('no licence\\nfound')")
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = transcribe("their_samplers:euler", 6, level="sigma", predicts="x0", high=20.0)
    assert plan.noise_std == pytest.approx(np.append(np.geomspace(20.0, 0.1, 6), 0.0))
    assert plan.provenance["sampler"] == "their_samplers:euler"
    for spec, rule in [
        ("their_samplers:heun", "AttributeError"),
        ("nowhere_at_all:euler", "ModuleNotFoundError"),
        (":euler", "ValueError"),
        ("their_slips:euler", "SyntaxError"),
        ("their_failures:euler", "RuntimeError"),
        ("their_samplers:constant", "must be callable"),
    ]:
        with pytest.raises(InputError, match=rule) as error:
            transcribe(spec)
        assert "\n" not in str(error.value)


def test_a_missing_library_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "no_such_library.py").write_text(ADAPTER)
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    with pytest.raises(MissingExtraError, match=r"pip install no-such-library==1\.0") as error:
        transcribe("no_such_library:Sampler", 5)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "library", [found.name for found in pkgutil.iter_modules(adapters.__path__)]
)
def test_every_adapter_says_what_to_install(library, monkeypatch):
    loaded = [key for key in sys.modules if key.partition(".")[0] == library]
    for key in {library, *loaded}:
        monkeypatch.setitem(sys.modules, key, None)
    name = library.replace("_", "[-_]")
    with pytest.raises(MissingExtraError, match=rf"pip install [\w \-]*{name}==\d"):
        transcribe(f"{library}:euler", 5)


def test_an_adapters_library_is_imported_when_it_is_used():
    code = (
        "import importlib, pkgutil, sys, mixdyn, mixdyn.audit.adapters as all_of; "
        "[importlib.import_module(all_of.__name__ + '.' + one.name) for one in "
        "pkgutil.iter_modules(all_of.__path__)]; "
        "mixdyn.transcribe; print(*[m for m in ('torch', 'diffusers', 'azula', 'numba', 'scipy') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []
