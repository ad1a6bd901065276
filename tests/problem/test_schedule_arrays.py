"""The schedule's arrays are what their names say, to full relative accuracy."""

import copy
import pickle

import mpmath
import numpy as np
import pytest

from mixdyn import NoiseSchedule

EPS = np.finfo(float).eps


def exact_alpha_bar(schedule):
    """alpha_bar as mpmath numbers, from the exact values of the stored betas."""
    out = [mpmath.mpf(1)]
    for beta in schedule.beta[1:]:
        out.append(out[-1] * (1 - mpmath.mpf(float(beta))))
    return out


def drawn(T):
    """Betas over sixteen orders of magnitude, in no order."""
    rng = np.random.default_rng(T)
    return np.minimum(10.0 ** rng.uniform(-16, 0, T), 60.0 / T) * rng.uniform(0.1, 0.9, T)


SCHEDULES = {
    "linear": NoiseSchedule.linear(),
    "steep": NoiseSchedule.linear(1000, 0.001, 0.2),
    "cosine": NoiseSchedule.cosine(200),
    "tiny first beta": NoiseSchedule.from_betas([1e-17, 1e-16, 0.3, 0.9]),
    "one step": NoiseSchedule.from_betas([0.7]),
    "nearly nothing left": NoiseSchedule.from_betas([1e-12, *np.full(640, 0.669)]),
    **{
        f"{name}, T = {T}": build(T)
        for T in (10, 33, 1000, 100_000)
        for name, build in {
            "linear": lambda T: NoiseSchedule.linear(T, 0.1 / T, min(20.0 / T, 0.99)),
            "cosine": NoiseSchedule.cosine,
            "scaled_linear": lambda T: NoiseSchedule.scaled_linear(T, 0.1 / T, min(20.0 / T, 0.99)),
            "sigmoid": lambda T: NoiseSchedule.sigmoid(T, 0.01 / T, min(20.0 / T, 0.99)),
            "betas": lambda T: NoiseSchedule.from_betas(drawn(T)),
        }.items()
    },
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_noise_and_rho_are_those_of_the_betas_to_two_ulp_at_every_time(name):
    schedule = SCHEDULES[name]
    with mpmath.workprec(200):
        abar = exact_alpha_bar(schedule)
        truth = {
            "alpha_bar": [float(a) for a in abar],
            "alpha": [float(mpmath.sqrt(a)) for a in abar],
            "noise_var": [float(1 - a) for a in abar],
            "rho": [float((1 - a) / a) for a in abar],
        }
    for field, expected in truth.items():
        value, expected = getattr(schedule, field), np.array(expected)
        assert value.shape == (schedule.T + 1,)
        assert (np.abs(value - expected) <= 2 * np.spacing(expected)).all(), field


@pytest.mark.parametrize("T", [10, 1000, 100_000])
def test_betas_of_the_cosine_schedule_keep_their_digits_at_any_length(T):
    schedule = NoiseSchedule.cosine(T)
    with mpmath.workprec(200):
        unit = mpmath.pi / 2 / (mpmath.mpf("1.008") * T)
        for t in {1, 2, 7, T // 2, T - 1}:
            angle = unit * (t + mpmath.mpf("0.008") * T)
            before = unit * (t - 1 + mpmath.mpf("0.008") * T)
            exact = 1 - (mpmath.cos(angle) / mpmath.cos(before)) ** 2
            assert abs(schedule.beta[t] / exact - 1) <= 8 * EPS, t


def test_time_zero_is_clean_and_time_one_has_the_first_beta():
    schedule = NoiseSchedule.from_betas([0.25, 0.5])
    assert schedule.beta.tolist() == [0.0, 0.25, 0.5]
    assert schedule.alpha_bar[0] == schedule.alpha[0] == 1.0
    assert schedule.noise_var[0] == schedule.rho[0] == schedule.log_alpha_bar[0] == 0.0
    assert np.isclose(schedule.alpha_bar[1], 0.75, rtol=2 * EPS)
    assert np.isclose(schedule.alpha_bar[2], 0.375, rtol=2 * EPS)


def test_the_linear_schedule_is_that_of_ddpm():
    schedule = NoiseSchedule.linear()
    assert schedule.T == 1000
    assert schedule.beta[1] == 1e-4
    assert schedule.beta[-1] == 0.02
    assert np.allclose(np.diff(schedule.beta[1:]), 0.0199 / 999, rtol=1e-10)
    assert f"{schedule.alpha_bar[-1]:.3e}" == "4.036e-05"


def test_the_cosine_schedule_follows_its_curve_and_caps_beta():
    schedule = NoiseSchedule.cosine(1000)
    t = np.arange(1, 1000)
    curve = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    start = np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert np.allclose(schedule.alpha_bar[1:-1], curve / start, rtol=1e-9)
    assert schedule.beta[-1] == 0.999
    assert NoiseSchedule.cosine(50, max_beta=0.3).beta.max() == 0.3


def test_effective_variance_adds_sigma_squared_to_rho():
    schedule = NoiseSchedule.linear(10)
    assert (schedule.effective_variance(0.5) == 0.25 + schedule.rho).all()


# -- identity ------------------------------------------------------------------------------------


def test_schedules_are_equal_by_their_betas_whatever_built_them():
    linear = NoiseSchedule.linear(20)
    same = NoiseSchedule.from_betas(linear.beta[1:])
    assert linear == same
    assert hash(linear) == hash(same)
    assert linear.digest == same.digest
    assert linear != NoiseSchedule.linear(21)
    assert linear != 3


def test_one_ulp_in_a_beta_changes_the_digest():
    betas = NoiseSchedule.linear(20).beta[1:].copy()
    betas[7] = np.nextafter(betas[7], 1)
    assert NoiseSchedule.from_betas(betas) != NoiseSchedule.linear(20)


@pytest.mark.parametrize(
    "schedule", [NoiseSchedule.linear(20), NoiseSchedule.from_betas([0.1, 0.2])]
)
@pytest.mark.parametrize(
    "remake", [lambda s: pickle.loads(pickle.dumps(s)), copy.copy, copy.deepcopy]
)
def test_a_copy_is_equal_and_read_only(schedule, remake):
    again = remake(schedule)
    assert again == schedule
    assert repr(again) == repr(schedule)
    assert not again.beta.flags.writeable


@pytest.mark.parametrize(
    "name", ["beta", "log_alpha_bar", "alpha_bar", "alpha", "noise_var", "rho"]
)
def test_arrays_are_read_only_and_attributes_frozen(name):
    schedule = NoiseSchedule.linear(5)
    with pytest.raises(ValueError, match="read-only"):
        getattr(schedule, name)[1] = 0.5
    with pytest.raises(AttributeError, match="frozen"):
        setattr(schedule, name, np.zeros(6))
    with pytest.raises(AttributeError, match="frozen"):
        delattr(schedule, name)


def test_changing_the_given_betas_afterwards_changes_nothing(tmp_path):
    betas = np.full(3, 0.1)
    schedule = NoiseSchedule.from_betas(betas)
    betas[0] = 0.5
    schedule.save(tmp_path / "schedule.npz")
    assert schedule == NoiseSchedule.from_betas([0.1, 0.1, 0.1])
    assert NoiseSchedule.load(tmp_path / "schedule.npz") == schedule
