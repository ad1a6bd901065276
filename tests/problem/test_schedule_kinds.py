"""Schedules and spacings under the names of other code: the same numbers, every digit, no slips."""

import itertools
import math

import mpmath
import numpy as np
import pytest

import mixdyn
from mixdyn.problem.named import read_schedule
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.errors import FileError, InputError

# As published: torch.linspace(0.00085**0.5, 0.012**0.5, 1000)**2, its product at the end.
STABLE_DIFFUSION_END = 0.0046598


def test_scaled_linear_is_stable_diffusions():
    schedule = NoiseSchedule.scaled_linear()
    assert schedule.beta[[1, -1]] == pytest.approx([8.5e-4, 0.012], rel=1e-14)
    assert np.ptp(np.diff(np.sqrt(schedule.beta[1:]))) < 1e-15
    assert schedule.alpha_bar[-1] == pytest.approx(STABLE_DIFFUSION_END, rel=1e-4)


def test_sigmoid_rises_from_near_one_beta_to_near_the_other():
    schedule = NoiseSchedule.sigmoid(7, 0.1, 0.3)
    shares = [1.0 / (1.0 + math.exp(-u)) for u in (-6, -4, -2, 0, 2, 4, 6)]
    assert schedule.beta[1:] == pytest.approx([0.1 + 0.2 * share for share in shares], rel=1e-14)


@pytest.mark.parametrize("s", [0.0, 0.008, 0.1])
def test_the_offset_of_the_cosine_is_its_formulas(s):
    schedule = NoiseSchedule.cosine(50, s=s)
    f = [math.cos((t / 50 + s) / (1 + s) * math.pi / 2) ** 2 for t in range(51)]
    assert schedule.alpha_bar[:50] == pytest.approx([level / f[0] for level in f[:50]], rel=1e-12)


def test_the_usual_cosine_keeps_its_bits_and_its_file(tmp_path):
    assert NoiseSchedule.cosine(40, s=0.008) == NoiseSchedule.cosine(40)
    NoiseSchedule.cosine(40).save(tmp_path / "usual.toml")
    assert "s =" not in (tmp_path / "usual.toml").read_text()
    NoiseSchedule.cosine(40, s=0.02).save(tmp_path / "own.toml")
    assert NoiseSchedule.load(tmp_path / "own.toml") == NoiseSchedule.cosine(40, s=0.02)


def _karras(n=40, low=0.002, high=80.0, power=7):
    """Sigmas of arXiv 2206.00364, equation 5, decreasing."""
    share = np.linspace(0, 1, n)
    return (high ** (1 / power) + share * (low ** (1 / power) - high ** (1 / power))) ** power


def _exact_betas(rho):
    """1 - abar_t/abar_{t-1} with 60 digits."""
    with mpmath.workdps(60):
        abar = [mpmath.mpf(1), *(1 / (1 + r) for r in rho)]
        return np.array([float(1 - b / a) for a, b in itertools.pairwise(abar)])


def _ulps(value, exact):
    return np.max(np.abs(value - exact) / np.spacing(np.abs(exact)))


def test_sigmas_lose_no_digit():
    for sigmas in (_karras()[::-1], np.geomspace(1e-9, 1e3, 200), 1.0 + np.arange(1, 9) * 1e-13):
        with mpmath.workdps(60):
            exact = _exact_betas([mpmath.mpf(float(s)) ** 2 for s in sigmas])
        schedule = NoiseSchedule.from_sigmas(sigmas)
        assert _ulps(schedule.beta[1:], exact) <= 4
        assert schedule.rho[1:] == pytest.approx(sigmas**2, rel=1e-13)
        assert schedule.alpha_bar[0] == 1.0


def test_log_snr_loses_no_digit():
    for table in (np.linspace(20, -8, 300), np.linspace(60, -60, 50), 3 - np.arange(9) * 1e-12):
        with mpmath.workdps(60):
            exact = _exact_betas([mpmath.exp(-mpmath.mpf(float(value))) for value in table])
        assert _ulps(NoiseSchedule.from_log_snr(table).beta[1:], exact) <= 6
        rho = NoiseSchedule.from_log_snr(table).rho[1:]
        assert -np.log(rho) == pytest.approx(table, rel=1e-12, abs=1e-12)


def test_alphas_cumprod_come_back():
    table = NoiseSchedule.linear().alpha_bar[1:]
    schedule = NoiseSchedule.from_alphas_cumprod(table)
    assert schedule.alpha_bar[1:] == pytest.approx(table, rel=1e-13)
    assert schedule.beta == pytest.approx(NoiseSchedule.linear().beta, rel=1e-9)


def test_the_tables_of_one_schedule_agree():
    sigmas = _karras()[::-1]
    first = NoiseSchedule.from_sigmas(sigmas)
    for other in (
        NoiseSchedule.from_log_snr(-2 * np.log(sigmas)),
        NoiseSchedule.from_alphas_cumprod(1 / (1 + sigmas**2)),
        NoiseSchedule.from_sigmas(sigmas[::-1]),
        NoiseSchedule.from_sigmas([*sigmas[::-1], 0.0]),
    ):
        # abar near 1 knows 1 - abar to 2e-16 alone: 4e-6 at sigma = 0.002.
        assert other.beta == pytest.approx(first.beta, rel=1e-9)


@pytest.mark.parametrize(
    "schedule",
    [
        NoiseSchedule.scaled_linear(30),
        NoiseSchedule.sigmoid(30),
        NoiseSchedule.from_sigmas(_karras(9)),
        NoiseSchedule.from_log_snr([5.0, 1.0, -3.0]),
        NoiseSchedule.from_alphas_cumprod([0.9, 0.5, 0.1]),
    ],
    ids=lambda schedule: schedule.parameters["kind"],
)
@pytest.mark.parametrize("suffix", [".toml", ".npz"])
def test_every_kind_comes_back_from_its_file_and_its_parameters(schedule, suffix, tmp_path):
    path = tmp_path / f"schedule{suffix}"
    schedule.save(path)
    assert NoiseSchedule.load(path) == schedule
    assert NoiseSchedule.load(path).parameters == schedule.parameters
    assert NoiseSchedule.from_parameters(schedule.parameters) == schedule


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoiseSchedule.from_alphas_cumprod([1.0, 0.5]), "strictly between 0 and 1"),
        (lambda: NoiseSchedule.from_alphas_cumprod([0.5, 0.9]), "alphas_cumprod must be strictly"),
        (lambda: NoiseSchedule.from_alphas_cumprod([0.5, 0.5]), "times 1 and 2"),
        (lambda: NoiseSchedule.from_alphas_cumprod([]), "at least one number"),
        (lambda: NoiseSchedule.from_sigmas([1.0, 3.0, 2.0]), "times 2 and 3"),
        (lambda: NoiseSchedule.from_sigmas([0.0, 1.0]), "every sigma must be > 0"),
        (lambda: NoiseSchedule.from_sigmas([3.0, 0.0, 0.0]), "every sigma must be > 0"),
        (lambda: NoiseSchedule.from_sigmas([1.0, 1e200]), "at most 1e[+]150"),
        (lambda: NoiseSchedule.from_log_snr([1.0, 2.0]), "log_snr must be strictly monotone"),
        (lambda: NoiseSchedule.from_log_snr([1e3, 0.0]), "at most 700 in size"),
        (lambda: NoiseSchedule.cosine(9, s=-0.1), "s must be >= 0"),
        (lambda: NoiseSchedule.from_parameters({"kind": "sigmas"}), "has kind linear, scaled_lin"),
        (lambda: NoiseSchedule.from_parameters({"kind": "sigmas", "beta": 1}), "log_snr with the"),
    ],
)
def test_a_table_that_is_no_schedule_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_table_that_ends_in_no_signal_is_not_told_to_leave_out_time_0():
    with pytest.raises(InputError, match=r"0\.0 at time 3\. End in little signal, not in none"):
        NoiseSchedule.from_alphas_cumprod([0.9, 0.5, 0.0])
    with pytest.raises(InputError, match="Leave out time 0"):
        NoiseSchedule.from_alphas_cumprod([1.0, 0.5])


def test_a_table_of_another_length_than_T_is_a_file_error(tmp_path):
    (tmp_path / "s.toml").write_text('kind = "log_snr"\nT = 3\nlog_snr = [1.0, 0.0]\n')
    with pytest.raises(FileError, match="number of times in the table"):
        NoiseSchedule.load(tmp_path / "s.toml")


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "sigmoid", "cosine"])
def test_every_named_schedule_is_read_with_its_options(name):
    assert read_schedule(f"{name}:T=77") == getattr(NoiseSchedule, name)(77)
    assert read_schedule("cosine:s=0.02,T=5") == NoiseSchedule.cosine(5, s=0.02)


# -- spacings ------------------------------------------------------------------------------------


def _diffusers(spacing, T, S):
    """0-based times as diffusers computes them, where its own formula is sound."""
    if spacing == "linspace":
        return np.linspace(0, T - 1, S).round()[::-1].astype(int)
    return np.round(np.arange(T, 0, -T / S)).astype(int) - 1


@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
@pytest.mark.parametrize(("T", "S"), [(1000, 50), (1000, 10), (1000, 20), (500, 4), (1000, 999)])
def test_spacings_are_those_of_diffusers_counted_from_one(spacing, T, S):
    ours = getattr(TimeGrid, spacing)(T, S).times
    assert ours[-1] == 0
    assert (ours[:-1] - 1).tolist() == _diffusers(spacing, T, S).tolist()


@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
def test_spacings_have_every_number_of_steps_and_never_leave_the_schedule(spacing):
    for T in (1, 2, 7, 60):
        for S in range(1, T + 1):
            times = getattr(TimeGrid, spacing)(T, S).times
            assert (len(times), times[0]) == (S + 1, T)
            assert (np.diff(times) < 0).all()


def test_a_number_of_steps_at_which_diffusers_slips_is_sound_here():
    # Summing -T/S leaves a remainder above 0 that rounds to a time of its own: t = -1 there.
    slips = [S for S in range(1, 1001) if _diffusers("trailing", 1000, S)[-1] < 0]
    assert slips, "the case exists"
    assert all(TimeGrid.trailing(1000, S).times[-2] >= 1 for S in slips)


@pytest.mark.parametrize("spacing", ["linspace", "trailing", "uniform"])
def test_samplers_take_every_spacing_by_name(spacing):
    schedule = NoiseSchedule.scaled_linear()
    grid = mixdyn.DDIM(20, spacing).grid(schedule)
    assert grid == getattr(TimeGrid, spacing)(1000, 20)
