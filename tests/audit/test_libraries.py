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
    "azula:EulerSampler": {},
    "azula:DDIM": {"eta": 0.5},
    "azula:DDPM": {"schedule": "Decay"},
    "azula:Heun": {"stop": 0.01},
    "azula:Ito": {"schedule": "Rectified"},
    "azula:zAB": {"schedule": "Cosine", "order": 3},
    "azula:vAB": {"schedule": "Rectified"},
    "azula:zEAB": {},
    "azula:xEAB": {"order": 3},
    "azula:REAB": {},
    "azula:PC": {"corrections": 2, "schedule": "VE", "sigma_min": 1e-2},
    "smalldiffusion:samples": {},
    "smalldiffusion:samples mu": {"mu": 0.5, "schedule": "Cosine"},
    "smalldiffusion:samples gam": {"gam": 2.0, "schedule": "LogLinear"},
    "smalldiffusion:samples flow": {"schedule": "Flow"},
    "torchdiffeq:euler": {"process": "edm"},
    "torchdiffeq:midpoint": {"process": "ve"},
    "torchdiffeq:heun3": {"process": "flow", "stop": 0.01},
    "torchdiffeq:rk4": {},
    "torchdiffeq:explicit_adams": {},
    "diffusionlab:DDM": {"eta": 0.5},
    "diffusionlab:DDMSampler flow": {"process": "FlowMatching"},
    "diffusionlab:DDM edm": {"process": "EDM", "schedule": "edm", "sigma_max": 20.0},
    "diffusionlab:Euler": {"process": "VE"},
    "hackable_diffusion:DDIM": {"stoch_coeff": 0.3, "schedule": "LinearDiffusion"},
    "hackable_diffusion:Heun": {"schedule": "Geometric", "sigma_min": 0.01, "sigma_max": 20.0},
    "hackable_diffusion:VelocityStep": {"stoch_coeff": 0.0, "times": "EDM"},
    "hackable_diffusion:Sde": {"schedule": "LinearDiffusion", "churn": 1.0},
    "diffrax:Heun": {"process": "edm"},
    "diffrax:Tsit5": {},
    "torchsde:euler": {"process": "ve"},
    "torchsde:srk": {},
    "torchsde:heun": {"stop": 0.05},
    "torchsde:midpoint": {},
    "torchsde:euler_heun": {},
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
    "azula:Euler": (64, {}, 0.890, 0.261),
    "azula:DDIM": (64, {}, 0.890, 0.261),
    "azula:Heun": (64, {}, 1.010, 4.17),
    "azula:Heun 640": (640, {}, 1.000, 1.07),
    "azula:xEAB 2": (64, {"order": 2}, 1.513, 0.525),
    "azula:xEAB 3": (64, {"order": 3}, 0.117, 0.938),
    "diffusionlab:DDM": (100, {}, 0.931, 0.154),
    "diffusionlab:DDM cosine": (100, {"process": "VPCosine"}, 0.969, 0.398),
    "diffusionlab:DDM VE": (100, {"process": "VE"}, 0.978, 0.538),
    "diffusionlab:DDM EDM": (100, {"process": "EDM"}, 0.968, 0.899),
    "diffusionlab:DDM flow": (100, {"process": "FlowMatching"}, 0.975, 0.544),
    "hackable_diffusion:DDIM": (64, {"stoch_coeff": 0.0}, 0.960, 0.389),
    "smalldiffusion:samples": (20, {}, 0.7309, 1.4677),
    "smalldiffusion:samples gam": (20, {"gam": 2.0}, 0.9583, 1.4838),
}


@pytest.mark.parametrize("name", FIGURES)
def test_spreads_of_two_gaussians_are_those_measured(name):
    steps, settings, wide, narrow = FIGURES[name]
    plan = transcribe(here(name), steps, **settings)
    gain = plan.response([0.2, 0.007], 0.7)[1]
    assert gain == pytest.approx([wide, narrow], abs=6e-4, rel=3e-3)


@pytest.mark.parametrize("method", ["dopri5", "bosh3", "adaptive_heun", "dopri8"])
def test_methods_with_steps_of_their_own_ask_within_the_times_handed(method):
    asked = []

    def ask(x, at):
        asked.append(at.noise_var)
        return x * at.noise_std / (at.alpha**2 * 0.2**2 + at.noise_var)

    settings = {"rtol": 1e-6, "atol": 1e-6}
    driver = driver_of(here(f"torchdiffeq:{method}"), 20, settings)
    end = driver.run(np.linspace(-1.0, 1.0, 5)[:, None], ask, None)
    assert min(asked) == pytest.approx(driver.end.noise_var, rel=1e-9)
    assert end[-1, 0] == pytest.approx(np.hypot(0.2, driver.end.noise_std), rel=1e-3)


def test_two_libraries_have_one_heun():
    settings = {"process": "flow", "stop": 0.01}
    ours, theirs = here("diffrax:Heun"), here("torchdiffeq:heun2")
    plan = transcribe(ours, 20, **settings)
    assert np.abs(plan.matrix - transcribe(theirs, 20, **settings).matrix).max() < 1e-12


def test_the_third_order_of_azula_turns_the_map_over():
    turned, kept = (transcribe(here("azula:xEAB"), 64, order=order) for order in (3, 1))
    start = np.array([[-1e-3], [1e-3]])
    ends = []
    for plan, order in ((turned, 3), (kept, 1)):
        driver = driver_of("azula:xEAB", 64, {"order": order})

        def ask(x, at):
            return x * at.alpha * 0.2**2 / (at.alpha**2 * 0.2**2 + at.noise_var)

        ends.append(float(np.diff(driver.run(start, ask, None), axis=0)[0, 0]) / 2e-3 / 0.2)
        assert abs(ends[-1]) == pytest.approx(plan.response([0.2])[1][0], rel=1e-3)
    assert ends == pytest.approx([-0.117, 0.890], abs=1e-3)


ORDERS = {  # fewest steps, settings with which the end is at the level that is asked for
    "k_diffusion:euler": (40, {"sigma_min": 0.05, "grid": "exponential"}, 1.0),
    "azula:Heun": (40, {"stop": 0.2}, 2.0),
    "torchdiffeq:euler": (40, {"stop": 0.1}, 1.0),
    "torchdiffeq:midpoint": (40, {"stop": 0.1}, 2.0),
    "torchdiffeq:heun3": (20, {"process": "flow", "stop": 0.1}, 3.0),
    "torchdiffeq:rk4": (20, {"process": "edm", "sigma_min": 0.1}, 4.0),
    "torchsde:euler": (40, {"stop": 0.1}, 1.0),
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
        ("azula:Sampler2", {}, InputError, "for example azula:DDIMSampler"),
        ("azula:DDIM", {"schedule": "Linear"}, InputError, "schedule='VP'"),
        ("azula:DDPM", {"stop": -1.0}, InputError, "must be finite"),
        ("smalldiffusion:Unet", {}, InputError, "for example smalldiffusion:samples"),
        ("denoising_diffusion_pytorch:GaussianDiffusion", {}, NotAffineError, "it clips"),
        ("denoising_diffusion_pytorch:Unet", {}, InputError, "GaussianDiffusion"),
        ("torchdiffeq:dopri5", {}, NotAffineError, "number of calls"),
        ("torchdiffeq:euler", {"process": "cosine"}, InputError, "vp, ve, edm, flow"),
        ("diffusionlab:DDM", {"process": "Linear"}, InputError, "process='VPLinear'"),
        ("hackable_diffusion:DDIM", {}, InputError, "stoch_coeff"),
        ("hackable_diffusion:AdjustedDDIM", {}, NotAffineError, "it divides by them"),
        ("diffrax:Kvaerno3", {}, InputError, "ValueError in diffeqsolve"),
        ("diffrax:Heun", {"process": "flow", "order": 2}, InputError, "a setting of Heun"),
        ("diffrax:ODETerm", {}, InputError, "for example diffrax:Heun"),
        ("torchsde:euler", {"adaptive": True}, NotAffineError, "number of draws"),
        ("torchsde:log_ode", {}, InputError, "levy_area_approximation"),
    ],
)
def test_what_cannot_be_transcribed_is_one_line(name, settings, kind, rule):
    with pytest.raises(kind, match=rule) as error:
        transcribe(here(name), 12, **settings)
    assert "\n" not in str(error.value)


def test_what_clips_is_still_driven():
    """Data in [0, 1] as its auto_normalize has it: N(0.7, 0.2^2) there is N(0.4, 0.4^2) here."""
    name = here("denoising_diffusion_pytorch:GaussianDiffusion")
    spreads = []
    for std in (0.4, 0.014):
        driver = driver_of(name, 50, {"objective": "pred_x0"})

        def ask(x, at, var=std**2):
            return 0.4 + at.alpha * var * (x - 0.4 * at.alpha) / (at.alpha**2 * var + at.noise_var)

        rng = np.random.default_rng(3)
        ends = driver.run(rng.standard_normal((200_000, 1)), ask, lambda s, t=None: np.zeros(s))
        assert np.abs(ends).max() <= 1.0
        spreads.append(ends.std() / std)
    assert spreads == pytest.approx([0.909, 0.172], abs=5e-3)


def test_normals_of_torch_are_its_own_again_after_an_error():
    torch = pytest.importorskip("torch")
    from mixdyn.audit.tensors import handed_noise

    places = [(torch, "randn"), (torch, "randn_like"), (torch, "normal"), (torch.Tensor, "normal_")]
    before = [getattr(*place) for place in places]

    def fails():
        with handed_noise(lambda shape, time=None: np.full(shape, 3.0)):
            assert torch.randn(2).tolist() == torch.randn_like(torch.ones(2)).tolist() == [3, 3]
            assert torch.normal(1.0, 2.0, (2,)).tolist() == [7, 7]
            assert torch.empty(1, 2, 2).normal_(1.0, std=2.0).flatten().tolist() == [7] * 4
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fails()
    assert [getattr(*place) for place in places] == before
