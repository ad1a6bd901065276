"""Samplers of libraries other than diffusers: their plans replay them, and have the spreads
measured on them. Only libraries of our own sets of dependencies are required, the others tested
where they happen to be installed: with what they rest on they bring hundreds of megabytes each."""

import contextlib
import importlib.metadata
import re

import numpy as np
import pytest

from mixdyn import transcribe
from mixdyn.affine.drivers import driver_of
from mixdyn.affine.gaussian import convergence
from mixdyn.support.errors import InputError, MissingExtraError, NotAffineError
from tests.audit import replaying


def required(library):
    """Whether some set of our dependencies names it."""
    named = importlib.metadata.requires("mixdyn") or []
    return library in {re.split(r"[^\w-]", entry)[0].replace("-", "_") for entry in named}


def here(name):
    """The spec of a case, or a skip where its library is not installed and need not be."""
    spec = name.split()[0]
    library = spec.partition(":")[0]
    try:
        with contextlib.suppress(InputError):
            driver_of(f"{library}:nothing", None, {})
    except MissingExtraError as error:
        if required(library):
            raise
        pytest.skip(f"not required: {error}")
    return spec


AFFINE = {
    "k_diffusion:euler": {},
    "k_diffusion:euler churned": {"s_churn": 10.0, "grid": "exponential"},
    "k_diffusion:sample_heun": {"s_churn": 2.0, "grid": "vp"},
    "k_diffusion:dpm_2": {},
    "k_diffusion:lms": {"order": 3},
    "k_diffusion:dpmpp_2m": {"grid": "polyexponential"},
    "k_diffusion:dpmpp_sde": {},
    "k_diffusion:dpmpp_2m_sde": {"eta": 0.7, "solver_type": "heun"},
    "k_diffusion:dpmpp_3m_sde": {},
    "k_diffusion:euler_ancestral": {"s_noise": 1.1},
    "k_diffusion:dpm_2_ancestral": {"eta": 0.7},
    "k_diffusion:dpmpp_2s_ancestral": {},
    "k_diffusion:dpm_fast": {"eta": 0.5, "sigma_max": 20.0},
}


@pytest.mark.parametrize("name", AFFINE)
def test_a_plan_replays_its_sampler_on_a_mixture(name):
    theirs, ours = replaying.replayed(here(name), 12, AFFINE[name])
    assert np.abs(theirs - ours).max() < 1e-10 * max(1.0, np.abs(theirs).max())


FIGURES = {  # steps, settings, spreads of N(0.7, 0.2^2) and N(0.7, 0.007^2) by the library alone
    "k_diffusion:euler": (50, {}, 0.9322, 0.5556),
    "k_diffusion:heun": (50, {}, 1.0076, 0.5802),
    "k_diffusion:dpm_2": (50, {}, 1.0038, 0.5753),
    "k_diffusion:lms": (50, {}, 0.9967, 0.8198),
}


@pytest.mark.parametrize("name", FIGURES)
def test_spreads_of_two_gaussians_are_those_measured(name):
    steps, settings, wide, narrow = FIGURES[name]
    plan = transcribe(here(name), steps, **settings)
    gain = plan.response([0.2, 0.007], 0.7)[1]
    assert gain == pytest.approx([wide, narrow], abs=6e-4, rel=3e-3)


ORDERS = {  # fewest steps, settings with which the end is at the level that is asked for
    "k_diffusion:euler": (40, {"sigma_min": 0.05, "grid": "exponential"}, 1.0),
}


@pytest.mark.parametrize("name", ORDERS)
def test_methods_have_their_order(name):
    fewest, settings, order = ORDERS[name]
    plans = [transcribe(here(name), k * fewest, **settings) for k in (1, 2, 4)]
    assert convergence(plans, [0.5]).order == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    ("name", "settings", "kind", "rule"),
    [
        ("k_diffusion:dpm_adaptive", {}, NotAffineError, "number of calls"),
        ("k_diffusion:get_sigmas_karras", {}, InputError, "sample_get_sigmas_karras"),
        ("k_diffusion:euler", {"order": 3}, InputError, "a setting of sample_euler"),
    ],
)
def test_what_cannot_be_transcribed_is_one_line(name, settings, kind, rule):
    with pytest.raises(kind, match=rule) as error:
        transcribe(here(name), 12, **settings)
    assert "\n" not in str(error.value)
