"""How many exponentials and normals a run computes: counted, without the compiler."""

import json
import os
import subprocess
import sys

import pytest

# Runs in a process of its own, in which Numba compiles nothing and every call can be counted.
SCRIPT = """
import collections, json, sys
import numpy as np
from mixdyn import DDIM, DDPM, ExactScore, GaussianMixture, NoiseSchedule, presets, sample
from mixdyn.kernels import arithmetic, noise

counts = collections.Counter()

def counted(inner):
    def call(*arguments):
        counts[inner.__name__] += 1
        return inner(*arguments)
    for module in list(sys.modules.values()):
        if getattr(module, inner.__name__, None) is inner:
            setattr(module, inner.__name__, call)

counted(arithmetic.exp2)
counted(noise.philox)
schedule = NoiseSchedule.linear(20, 1e-4, 0.3)
uneven = GaussianMixture([[a, b] for a in (0.0, 1.0, 2.5) for b in (0.0, 1.0)], 0.1)
cases = {
    "general": (presets.grid(), False),
    "grid": (presets.grid(), True),
    "uneven axis": (uneven, True),
}
found = {}
for name, (mixture, detect) in cases.items():
    model = ExactScore(mixture, schedule, detect_product=detect)
    for kind, sampler in (("DDIM", DDIM(4)), ("DDPM", DDPM())):
        counts.clear()
        x = np.random.default_rng(0).standard_normal((8, 2))
        steps = sample(model, schedule, sampler, x=x, rng=0).n_eval
        per = 8 * steps
        found[f"{name}, {kind}"] = [counts["exp2"] / per, counts["philox"] / per]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def counts():
    """{case: [exponentials, Philox blocks] per sample and step}."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("case", "exponentials"), [("general", 25), ("grid", 2), ("uneven axis", 3 + 1)]
)
def test_a_step_costs_one_exponential_a_mode_and_one_an_axis_of_equally_spaced_modes(
    counts, case, exponentials
):
    assert counts[f"{case}, DDIM"][0] == exponentials
    assert counts[f"{case}, DDPM"][0] == exponentials


@pytest.mark.parametrize("case", ["general", "grid", "uneven axis"])
def test_noise_is_drawn_where_a_step_has_some_two_coordinates_a_block(counts, case):
    assert counts[f"{case}, DDIM"][1] == 0
    assert counts[f"{case}, DDPM"][1] == pytest.approx(19 / 20)  # none in the last step
