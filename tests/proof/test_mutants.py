"""Changed constants, signs and roundings of the enclosures are noticed: some exact value then lies
outside of what should contain it."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import mixdyn.proof
from mixdyn.problem.mixture import GaussianMixture

flint = pytest.importorskip("flint")
FOLDER = Path(mixdyn.proof.__file__).parent
N = 120

MUTANTS = [
    ("interval", "ULP = 2.0**-52", "ULP = 0.0"),
    ("interval", "x + (np.abs(x) * ULP + _TINY)", "x - (np.abs(x) * ULP + _TINY)"),
    ("interval", "_EXP_ERROR = 2.0**-49", "_EXP_ERROR = 0.0"),
    ("interval", "range(13, 1, -1)", "range(9, 1, -1)"),
    ("interval", "_LN2_LOW = 1.9", "_LN2_LOW = 1.8"),
    ("interval", "np.minimum(low, end), np.maximum(high, end)", "np.minimum(low, end), high"),
    ("law", ".square().sum() * 0.5", ".square().sum() * 0.505"),
    ("law", "np.minimum(high, 0.25, out=high)", "np.minimum(high, 0.2, out=high)"),
    ("law", "room)) / self.v.square()", "room)) / self.v"),
    ("law", "self.v - self.law.gram[a, b]", "self.v + self.law.gram[a, b]"),
    ("law", "self.jacobian(a, b) * step", "self.covariance(a, b) * step"),
    ("law", "leads += logs[:, :, None] - logs[:, None]", "pass"),
    ("law", "places.mid().T - halves.mid()", "places.mid().T + halves.mid()"),
    ("law", "where[:, None]), self._far)", "where[:, None]), 0.5 * self._far)"),
    ("law", "np.maximum(leads, late, out=leads)", "leads = late"),
    ("law", "sloped = sloped + self._in_v(a) * step[:, -1]", "pass"),
]


def _loaded(monkeypatch, changed: str, old: str, new: str) -> tuple:
    """interval and law as they are but for one text."""
    modules = []
    for name in ("interval", "law"):
        full = f"mixdyn.proof.{name}"
        text = (FOLDER / f"{name}.py").read_text()
        if name == changed:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        fresh = importlib.util.module_from_spec(importlib.util.find_spec(full))
        monkeypatch.setitem(sys.modules, full, fresh)
        exec(compile(text, full, "exec"), fresh.__dict__)
        modules.append(fresh)
    return tuple(modules)


def _outside(interval, law) -> int:
    """How many exact values lie outside their enclosures."""
    arb, wrong, rng = flint.arb, 0, np.random.default_rng(11)
    x, y = rng.normal(size=(2, N)) * 10.0 ** rng.uniform(-2, 2, (2, N))
    of = interval.Interval.of
    wide = interval.Interval(-np.abs(x), np.abs(y))
    powers = of(x).exp(), of(np.abs(x)).log(), wide * of(y)
    exact = [[arb(a).exp() for a in x.tolist()], [abs(arb(a)).log() for a in x.tolist()]]
    exact.append([arb(abs(b)) * arb(b) for b in y.tolist()])
    for found, values in zip(powers, exact, strict=True):
        ends = zip(found.lo.tolist(), found.hi.tolist(), values, strict=True)
        wrong += sum(value < low or value > high for low, high, value in ends)
    two = GaussianMixture([[-0.4], [0.6]], 0.1, [0.7, 0.3])
    frame = law.Law.of(two, [0.3], [[0.8]])
    z, v = rng.normal(size=N), 10.0 ** rng.uniform(-2.0, 0.3, N)
    # Boxes of many levels or places show slopes that are wrong or missing, narrow ones the rest.
    sizes = np.array([[2e-3, 0.1], [2e-6, 1e-4], [0.05, 1e-4]])[np.arange(N) % 3]
    half = sizes * np.column_stack([np.ones(N), v])
    box = np.column_stack([z, v])
    local = frame.over(interval.Interval(box - half, box + half))
    found = {"field": local.field(0), "jacobian": local.jacobian(0, 0)}
    at = box + half * rng.uniform(-1, 1, (N, 2))
    for i, (a, b) in enumerate(at.tolist()):
        p = [arb(w) * (-((arb(0.3) + arb(0.8) * a - arb(m)) ** 2) / (2 * arb(b))).exp()
             for w, m in ((0.7, -0.4), (0.3, 0.6))]  # fmt: skip
        gamma = p[0] / (p[0] + p[1])
        mean = gamma * arb(-0.4) + (1 - gamma) * arb(0.6)
        gap = arb(0.8) * (arb(0.6) - arb(-0.4))
        value = {
            "field": arb(0.8) * (mean - arb(0.3) - arb(0.8) * a),
            "jacobian": gamma * (1 - gamma) * gap * gap / b - arb(0.8) * arb(0.8),
        }
        for key, exactly in value.items():
            wrong += bool(exactly < float(found[key].lo[i]) or exactly > float(found[key].hi[i]))
    return wrong


@pytest.mark.parametrize(("module", "old", "new"), MUTANTS)
def test_a_mutant_leaves_an_exact_value_outside(monkeypatch, module, old, new):
    with flint.ctx.workprec(300), np.errstate(all="ignore"):
        assert _outside(*_loaded(monkeypatch, module, old, new)) > 0


def test_nothing_lies_outside_without_one(monkeypatch):
    with flint.ctx.workprec(300):
        assert _outside(*_loaded(monkeypatch, "", "", "")) == 0
