"""Schedulers of diffusers: their plans replay them, and have the figures measured on them."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("diffusers")

from mixdyn import transcribe
from mixdyn.affine.gaussian import convergence
from mixdyn.affine.parts import error_parts
from mixdyn.audit.card import audit
from mixdyn.support.errors import InputError, NotAffineError
from tests.audit import replaying

LINEAR = {"beta_start": 1e-4, "beta_end": 0.02}
OWN = {"clip_sample": False}  # their default table is this one
EARLY = {"sigma_min": 0.1, "final_sigmas_type": "sigma_min"}
KARRAS = {**LINEAR, "use_karras_sigmas": True}
DOUBLE = {
    "DDIMScheduler": OWN,
    "DDIMScheduler eta": {**OWN, "eta": 0.5},
    "DDIMScheduler v": {
        **OWN,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
    "DDIMScheduler x0": {**OWN, "prediction_type": "sample"},
    "DDPMScheduler": OWN,
    "DDPMScheduler large": {**OWN, "variance_type": "fixed_large"},
    "DPMSolverSinglestepScheduler": LINEAR,
    "DEISMultistepScheduler": LINEAR,
    "UniPCMultistepScheduler": LINEAR,
    "PNDMScheduler": LINEAR,
    "IPNDMScheduler": {},
    "SASolverScheduler": LINEAR,
    "LCMScheduler": OWN,
    "CogVideoXDPMScheduler": {},
    "FlowMapEulerDiscreteScheduler": {},
    "ScoreSdeVeScheduler": {"correct_steps": 0},
    "ScoreSdeVpScheduler": {},
    "MiniMaxH3Scheduler": {},
    "CMStochasticIterativeScheduler": {"clip_denoised": False},
    "DDPMWuerstchenScheduler": {},
}
SINGLE = {
    "DPMSolverMultistepScheduler": LINEAR,
    "DPMSolverMultistepScheduler 3": {**LINEAR, "solver_order": 3},
    "DPMSolverMultistepScheduler SDE": {**LINEAR, "algorithm_type": "sde-dpmsolver++"},
    "DPMSolverMultistepScheduler Karras": KARRAS,
    "DPMSolverSDEScheduler": LINEAR,
    "CosineDPMSolverMultistepScheduler": {},
    "EulerDiscreteScheduler": LINEAR,
    "EulerDiscreteScheduler Karras": KARRAS,
    "EulerAncestralDiscreteScheduler": LINEAR,
    "HeunDiscreteScheduler": LINEAR,
    "LMSDiscreteScheduler": LINEAR,
    "KDPM2DiscreteScheduler": LINEAR,
    "KDPM2AncestralDiscreteScheduler": LINEAR,
    "EDMEulerScheduler": {},
    "EDMDPMSolverMultistepScheduler": {},
    "FlowMatchEulerDiscreteScheduler": {},
    "FlowMatchHeunDiscreteScheduler": {},
    "SCMScheduler": {},
    "KarrasVeScheduler": {},
    "LTXEulerAncestralRFScheduler": {},
}


def spec(name):
    return f"diffusers:{name.split()[0]}"


def replayed(name, settings, steps=12):
    return replaying.replayed(spec(name), steps, settings)


@pytest.mark.parametrize("name", DOUBLE)
def test_a_plan_replays_its_scheduler_on_a_mixture(name):
    theirs, ours = replayed(name, DOUBLE[name])
    assert np.abs(theirs - ours).max() < 1e-10


@pytest.mark.parametrize("name", SINGLE)
def test_a_plan_replays_a_scheduler_that_casts_to_its_cast(name):
    theirs, ours = replayed(name, SINGLE[name])
    assert np.median(np.abs(theirs - ours)) < 1e-6


FIGURES = {  # spread of N(0.7, 0.2^2) and of N(0.7, 0.007^2) after 50 steps
    "DDIMScheduler": (OWN, 0.881, 0.496),
    "DDIMScheduler trailing": ({**OWN, "timestep_spacing": "trailing"}, 0.869, 0.091),
    "DDIMScheduler linspace": ({**OWN, "timestep_spacing": "linspace"}, 0.912, 0.535),
    "DDIMScheduler eta": ({**OWN, "eta": 1.0}, 0.795, 0.474),
    "DDPMScheduler": (OWN, 0.795, 0.474),
    "EulerDiscreteScheduler": (LINEAR, 0.879, 0.496),
    "EulerAncestralDiscreteScheduler": (LINEAR, 0.793, 0.474),
    "HeunDiscreteScheduler": (LINEAR, 1.012, 0.973),
    "LMSDiscreteScheduler": (LINEAR, 1.001, 0.561),
    "DPMSolverMultistepScheduler": (LINEAR, 0.938, 0.088),
    "UniPCMultistepScheduler": (LINEAR, 0.939, 0.088),
    "DEISMultistepScheduler": (LINEAR, 1.03, 1.55),
    "PNDMScheduler": (LINEAR, 0.998, 1.542),
    "SASolverScheduler": (LINEAR, 0.974, 1.511),
    "IPNDMScheduler": ({}, 1.001, 1.038),
    "EDMEulerScheduler": ({}, 0.936, 0.873),
    "EDMDPMSolverMultistepScheduler": ({}, 1.008, 0.968),
    "FlowMatchEulerDiscreteScheduler": ({}, 0.950, 0.427),
    "FlowMatchHeunDiscreteScheduler": ({}, 1.001, 1.724),
    "CosineDPMSolverMultistepScheduler": ({}, 0.551, 0.023),
    "KDPM2AncestralDiscreteScheduler": (LINEAR, 1.102, 1.251),
}


@pytest.mark.parametrize("name", FIGURES)
def test_spreads_of_two_gaussians_are_those_measured(name):
    settings, wide, narrow = FIGURES[name]
    plan = transcribe(spec(name), 50, **settings)
    gain = plan.response([0.2, 0.007], 0.7)[1]
    assert gain == pytest.approx([wide, narrow], abs=6e-3)


def test_what_a_scheduler_does_to_its_table_is_found():
    deis = [transcribe("diffusers:DEISMultistepScheduler", n, **LINEAR) for n in (10, 50, 200)]
    narrow = [plan.response([0.007])[1][0] for plan in deis]
    assert narrow == pytest.approx([1.45, 1.55, 1.66], abs=0.01)  # it does not end on clean data
    euler = [transcribe("diffusers:EDMEulerScheduler", n) for n in (25, 50, 100)]
    assert convergence(euler, [0.2]).order == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "steps", "settings", "kind", "rule"),
    [
        ("DDIMScheduler", 10, {}, NotAffineError, "off the sum"),
        ("DDIMScheduler", 61, {**OWN, "timestep_spacing": "trailing"}, InputError, "t = -1"),
        ("DDIMScheduler", 2000, OWN, InputError, "ValueError in DDIMScheduler.set_timesteps"),
        ("DDIMScheduler", 10, {"colour": 1}, InputError, "set_timesteps takes"),
        ("DPMSolverMultistepScheduler", 1000, LINEAR, InputError, "must be finite"),
        ("UNet2DModel", 10, {}, InputError, "has step and set_timesteps"),
        ("SCMScheduler", 10, {"intermediate_timesteps": 1.3}, InputError, "ValueError"),
        ("Nothing", 10, {}, InputError, "has step and set_timesteps"),
    ],
)
def test_what_cannot_be_transcribed_is_one_line(name, steps, settings, kind, rule):
    with pytest.raises(kind, match=rule) as error:
        transcribe(f"diffusers:{name}", steps, **settings)
    assert "\n" not in str(error.value)


def test_a_card_names_the_fault_of_a_scheduler():
    clipped = audit(spec("DDIMScheduler"), 50)
    assert not clipped.affine
    assert "it clips" in clipped.words[1]
    named = audit(spec("DDIMScheduler"), 50, **OWN)
    assert [row.gain for row in named.named[::2]] == pytest.approx([0.496, 0.881], abs=6e-4)
    assert named.order == pytest.approx(1.0, abs=0.1)
    karras = audit(spec("DPMSolverMultistepScheduler"), 20, **KARRAS)
    asked, true = karras.clock[-1]
    assert karras.clock_error == (20, pytest.approx(np.log(true / asked)))
    assert true / asked == pytest.approx(0.875, abs=0.01)  # its levels are rounded to timesteps


@pytest.mark.parametrize(
    ("name", "settings", "seeded"),
    [
        ("DDPMScheduler", OWN, True),
        ("EulerAncestralDiscreteScheduler", LINEAR, True),
        ("DPMSolverSDEScheduler", LINEAR, False),  # its tree is seeded by torch's own numbers
        ("DPMSolverSDEScheduler", {**LINEAR, "noise_sampler_seed": 3}, True),
    ],
)
def test_a_generator_that_is_not_heard_is_found(name, settings, seeded):
    assert audit(spec(name), 10, **settings).seeded is seeded


@pytest.mark.parametrize(("steps", "wide"), [(400, 1.36), (501, 2.23), (600, 1.90)])
def test_a_step_to_another_time_than_the_next_that_is_listed_is_found(steps, wide):
    plan = transcribe("diffusers:DDIMScheduler", steps, **OWN, timestep_spacing="trailing")
    assert plan.response([0.2], 0.7)[1] == pytest.approx([wide], abs=6e-3)
    clock = plan.clock()
    assert np.abs(clock.true[:-1] / clock.asked[:-1] - 1.0).max() > 1.0


@pytest.mark.parametrize(
    ("spacing", "off"),
    [("use_karras_sigmas", 0.05), ("use_exponential_sigmas", 0.20), ("use_beta_sigmas", 0.67)],
)
def test_times_that_are_cast_to_integers_show_in_the_clock(spacing, off):
    plan = transcribe("diffusers:DPMSolverMultistepScheduler", 50, **LINEAR, **{spacing: True})
    clock = plan.clock()
    error = np.abs(clock.true[:-1] / clock.asked[:-1] - 1.0).max()
    assert error == pytest.approx(off, abs=0.006)


DISTILLED = {  # made for the consistency map: settings, spread of N(0.7, 0.2^2) with the mean
    "LCMScheduler": ({**OWN, **LINEAR, "beta_schedule": "linear"}, 10, 0.443, 1e-5),
    "FlowMatchLCMScheduler": ({}, 10, 0.568, 1e-6),
    "SCMScheduler": ({}, 10, 0.606, 1e-6),
    "CMStochasticIterativeScheduler": ({"clip_denoised": False}, 10, 0.533, 2e-4),
}


@pytest.mark.parametrize("name", DISTILLED)
def test_what_is_made_for_consistency_maps_is_exact_with_the_exact_one(name):
    settings, steps, mean, error = DISTILLED[name]
    plan = transcribe(spec(name), steps, **settings)
    assert plan.response([0.2], 0.7)[1] == pytest.approx([mean], abs=1e-3)
    off, gain = plan.response([0.05, 0.2, 1.0], 0.7, reference="consistency")
    assert gain[1:] == pytest.approx(np.ones(2), abs=error)
    assert np.abs(off).max() < 1e-6
    card = audit(spec(name), steps, brief=True, **settings)
    assert [row.gain for row in card.consistency][1:] == pytest.approx(gain)
    assert "consistency map" in card.words[0]


def test_a_consistency_scheduler_leaves_its_least_noise():
    """Its map ends at sigma_min: N(0.7, 0.007^2 + ...) is known to 0.002^2 alone."""
    settings = {"clip_denoised": False}
    plan = transcribe("diffusers:CMStochasticIterativeScheduler", 10, **settings)
    narrow = plan.response([0.007], reference="consistency")[1][0]
    assert 0.98 < narrow < 0.995


def test_a_corrector_that_divides_by_a_norm_over_the_batch_is_sampled():
    with pytest.raises(NotAffineError, match="divides by them"):
        transcribe("diffusers:ScoreSdeVeScheduler", 20)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("VQDiffusionScheduler", "discrete tokens"),
        ("RePaintScheduler", "its mask"),
        ("DDIMInverseScheduler", "from data to noise"),
        ("RFD4ProteinaScheduler", "proteins"),
    ],
)
def test_what_no_score_of_gaussian_diffusions_drives_says_why(name, why):
    with pytest.raises(InputError, match=why) as error:
        transcribe(spec(name), 10)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "steps", "settings", "part"),
    [
        # Trailing in 400 steps: DDIM steps to t - 2 where the next time is t - 2.5.
        ("DDIMScheduler", 400, {**OWN, "timestep_spacing": "trailing"}, "pairing"),
        ("DDIMScheduler", 50, OWN, "solver"),
        ("EDMDPMSolverMultistepScheduler", 50, EARLY, "grid"),
    ],
)
def test_errors_apart_name_the_part_at_fault(name, steps, settings, part):
    found = error_parts(transcribe(f"diffusers:{name}", steps, **settings), 0.7, 0.2)
    errors = dataclasses.asdict(found)
    at_fault = errors.pop(part)
    assert at_fault > 10.0 * max(errors.values())
    if part == "grid":  # the end keeps sigma_min, half the spread of the data
        assert at_fault == pytest.approx(np.hypot(1.0, 0.5) - 1.0, rel=0.01)
