"""Figures that were measured by hand on public samplers come out of their plans: beside the spreads
of single Gaussians (test_diffusers, test_libraries) and the shipped cards (test_gallery), what
their tables, grids and multistep differences do."""

import numpy as np
import pytest

from mixdyn import NoiseSchedule, sample, transcribe
from mixdyn.audit.card import two_modes
from mixdyn.support.errors import InputError, MissingExtraError
from mixdyn.support.statistics import Proportion

LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
DEIS = {**LINEAR, "solver_order": 3}
SMALL = "smalldiffusion:samples"

SPREADS = {  # steps, settings, shares of the spreads 0.2 and 0.007 (None: not measured by hand)
    "diffusers:DEISMultistepScheduler 100": (100, DEIS, 1.003, None),
    "diffusers:LMSDiscreteScheduler": (50, LINEAR, 1.001, 0.561),
    "diffusers:FlowMatchHeunDiscreteScheduler": (50, {}, 1.001, 1.724),
    "azula:DDIMSampler": (64, {}, 0.890, 0.261),
    "azula:EulerSampler": (64, {}, 0.890, 0.261),
    f"{SMALL} mu": (20, {"mu": 0.5}, 0.647, 1.434),
    f"{SMALL} gam": (20, {"gam": 2.0}, 0.960, 1.486),
    "k_diffusion:euler": (50, {}, 0.930, 0.554),
    "k_diffusion:heun": (50, {}, 1.009, 0.577),
    "k_diffusion:lms": (50, {}, 0.995, 0.817),
    "hackable_diffusion:DDIM": (64, {"stoch_coeff": 0.0}, 0.960, None),
}


def planned(name, steps, settings):
    """Its plan, or a skip where the library is not there."""
    try:
        return transcribe(name.split()[0], steps, **settings)
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", SPREADS)
def test_spreads_are_those_measured_by_hand(name):
    steps, settings, wide, narrow = SPREADS[name]
    found = planned(name, steps, settings).response([0.2, 0.007], 0.7)[1]
    assert found[0] == pytest.approx(wide, abs=3e-3)
    if narrow is not None:
        assert found[1] == pytest.approx(narrow, abs=4e-3)


def test_deis_of_order_three_gets_worse_with_more_steps():
    """Differences in tables of single precision, whose last bits are the processor's: 1.064 and
    1.217 on one, 1.069 and 1.14 on another."""
    few, many = (
        planned("diffusers:DEISMultistepScheduler", steps, DEIS).response([0.2])[1][0]
        for steps in (500, 999)
    )
    assert 1.03 < few < 1.1 < many < 1.3


MULTISTEP = ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler")


@pytest.mark.parametrize("name", [*MULTISTEP, "SASolverScheduler"])
def test_two_equal_times_make_it_no_number(name):
    planned(f"diffusers:{name}", 10, LINEAR)
    with pytest.raises(InputError, match="4 non-finite entries in what it hands call 502"):
        transcribe(f"diffusers:{name}", 1000, **LINEAR)


def test_a_linspace_grid_is_off_its_steps_at_the_last_call():
    settings = {"clip_sample": False, "timestep_spacing": "linspace"}
    clock = planned("diffusers:DDIMScheduler", 50, settings).clock()
    off = (clock.true[:-1] / clock.asked[:-1] - 1.0)[-2:]
    assert off == pytest.approx([0.08, 0.08], abs=0.003)


OUTSIDE = {  # settings, share of two modes outside
    "CosineDPMSolverMultistepScheduler": ({}, 0.0796),  # the library alone, 60,000 samples
    "DEISMultistepScheduler": (DEIS, 0.0175),
    "LMSDiscreteScheduler": (LINEAR, 0.010),
    "PNDMScheduler": (LINEAR, 0.0084),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_share_between_two_modes_is_that_measured_by_hand(name):
    settings, share = OUTSIDE[name]
    plan = planned(f"diffusers:{name}", 50, settings)
    n = 100_000
    x = sample(two_modes(), NoiseSchedule.linear(), plan, n=n, rng=0).x[:, 0]
    low, high = Proportion(int((np.abs(np.abs(x) - 0.5) > 0.25).sum()), n).interval(1e-6)
    assert low < share < high


def test_a_trajectory_scheduler_adds_the_amplitudes_of_one_prediction():
    """Handed the consistency map, a step of TCD sums alpha x_0 and the noise that is read off that
    x_0, so its end is wider than the data by a closed form: no other fault is in it."""
    settings = {"clip_sample": False, **LINEAR, "eta": 0.0}
    plan = planned("diffusers:TCDScheduler", 10, settings)
    for std in (0.05, 0.2, 1.0):
        (a, b), *rest = zip(plan.alpha[:-1], plan.noise_std[:-1], strict=True)
        spread = 1.0
        # The last step goes to the table's first time, whose noise of 0.01 the end keeps.
        for alpha, noise in [*rest, (np.sqrt(1.0 - 1e-4), 1e-2)]:
            x0 = std / np.hypot(a * std, b)
            spread *= alpha * x0 + noise * (1.0 - a * x0) / b
            a, b = alpha, noise
        found = plan.response([std], reference="consistency")[1][0] * std
        assert found == pytest.approx(spread, rel=1e-4)  # its table is of single precision
        assert found > 1.1 * std
