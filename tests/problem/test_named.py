"""Mixtures and schedules by name: the presets are the papers', number by number; schedules and
spacings under the names of other code give the same numbers, every digit.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest

import mixdyn
from mixdyn import presets
from mixdyn.problem.named import read_schedule
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.errors import FileError, InputError

# -- presets ---------------------------------------------------------------------------------------


def unit_variance(mixture):
    centred = mixture.means - mixture.weights @ mixture.means
    per_axis = (mixture.weights @ centred**2).mean()
    return per_axis + mixture.sigma**2


def test_the_standard_problem_has_the_numbers_of_the_paper():
    mixture = presets.grid()
    scale = np.sqrt(8.0004)  # tr Cov / d of spacing 2: 2^2 * 2, plus 0.02^2
    raw = np.array(list(itertools.product([-4, -2, 0, 2, 4], repeat=2)))
    assert np.allclose(mixture.means, raw / scale, rtol=1e-15)
    assert np.isclose(mixture.sigma, 0.02 / scale, rtol=1e-15)
    assert f"{mixture.sigma:.7f}" == "0.0070709"
    assert f"{2 / scale:.5f}" == "0.70709"
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-14)


def test_a_grid_without_normalisation_keeps_raw_units():
    mixture = presets.grid(3, 1.5, 0.1, normalize=False)
    assert np.unique(mixture.means).tolist() == [-1.5, 0.0, 1.5]
    assert mixture.sigma == 0.1


def test_the_diamond_has_the_modes_of_the_public_data_set():
    diamond = presets.diamond()
    # Five rows of five, from (-2, 0) to (2, 0) in steps of (0.5, 0.5) and (0.5, -0.5), times 2.
    raw = [(-4 + i + j, i - j) for i in range(5) for j in range(5)]
    scale = (0.05**2 + 8) ** 0.5
    assert np.allclose(np.sort(diamond.means, axis=0), np.sort(np.array(raw) / scale, axis=0))
    gaps = np.linalg.norm(diamond.means[:, None] - diamond.means, axis=2)
    assert round(float(gaps[gaps > 0].min()), 3) == 0.5
    assert round(diamond.sigma, 4) == 0.0177


def test_rotating_turns_the_grid_counterclockwise():
    grid, diamond = (
        presets.grid(2, normalize=False),
        presets.grid(2, normalize=False, rotate=np.pi / 4),
    )
    assert np.allclose(diamond.means, grid.means @ [[0.5**0.5, 0.5**0.5], [-(0.5**0.5), 0.5**0.5]])
    assert np.allclose(presets.grid(2, normalize=False, rotate=np.pi / 2).means[0], [1.0, -1.0])
    assert diamond.sigma == grid.sigma


def test_the_line_of_the_one_dimensional_experiment():
    assert presets.line(3).means.ravel().tolist() == [1.0, 2.0, 3.0]
    assert presets.line(3).sigma == 0.05
    assert presets.line(2, 3.0, d=3, start=-1.0).means.tolist() == [[-1, 0, 0], [2, 0, 0]]


def test_a_normalised_line_has_unit_variance_about_its_mean():
    mixture = presets.line(4, 2.0, 0.3, normalize=True)
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-14)


def test_two_modes_are_symmetric_about_the_origin():
    mixture = presets.two_modes(3.0, 0.1, d=2, weights=[1, 3])
    assert mixture.means.tolist() == [[-1.5, 0], [1.5, 0]]
    assert mixture.weights.tolist() == [0.25, 0.75]


def test_a_ring_has_its_radius_and_equal_angles():
    mixture = presets.ring(7, 2.0)
    z = mixture.means[:, 0] + 1j * mixture.means[:, 1]
    assert np.allclose(z**7, 2.0**7, rtol=1e-13)
    assert len(np.unique(np.round(z, 9))) == 7


def brute_farthest(points, count):
    """Greedy farthest-point sampling, the slow way."""
    chosen = [0]
    for _ in range(count - 1):
        gaps = [min(np.sum((p - points[c]) ** 2) for c in chosen) for p in points]
        chosen.append(int(np.argmax(gaps)))
    return points[chosen]


def test_farthest_points_of_a_small_lattice_are_the_greedy_ones():
    lattice = np.array(list(itertools.product([-4.0, -2.0, 0.0, 2.0, 4.0], repeat=2)))
    mixture = presets.farthest_point(2, 9, normalize=False)
    assert (mixture.means == brute_farthest(lattice, 9)).all()
    assert {tuple(row) for row in mixture.means[:4]} == set(itertools.product([-4, 4], repeat=2))


@pytest.mark.parametrize("d", [8, 64])
def test_farthest_points_of_a_large_lattice_are_distinct_lattice_points_fixed_by_the_seed(d):
    mixture = presets.farthest_point(d, 25, normalize=False, seed=3)
    assert np.isin(mixture.means, [-4, -2, 0, 2, 4]).all()
    assert (mixture.means[0] == -4).all()
    assert len(np.unique(mixture.means, axis=0)) == 25
    assert mixture == presets.farthest_point(d, 25, normalize=False, seed=3)
    if 2**d > 100_000:  # else every corner is a candidate, and corners are the farthest
        assert mixture != presets.farthest_point(d, 25, normalize=False, seed=4)


@pytest.mark.parametrize("d", [2, 64])
def test_normalised_farthest_points_have_unit_variance(d):
    mixture = presets.farthest_point(d)
    assert mixture.N == 25
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-13)


@pytest.mark.parametrize(
    "build",
    [
        lambda: presets.grid(0),
        lambda: presets.grid(True),
        lambda: presets.grid(2.0),
        lambda: presets.grid(spacing=0.0),
        lambda: presets.grid(sigma=-1.0),
        lambda: presets.grid(rotate=float("inf")),
        lambda: presets.grid(rotate="45"),
        lambda: presets.line(0),
        lambda: presets.line(d=0),
        lambda: presets.line(spacing=float("nan")),
        lambda: presets.line(start=float("nan")),
        lambda: presets.ring(radius=0.0),
        lambda: presets.ring(radius=np.array([1.0])),
        lambda: presets.two_modes(0.0),
        lambda: presets.two_modes(weights=[1, -1]),
        lambda: presets.farthest_point(0),
        lambda: presets.farthest_point(1, 6),
        lambda: presets.farthest_point(2, 26),
        lambda: presets.farthest_point(64, seed=1.5),
        lambda: presets.farthest_point(64, seed=-1),
    ],
)
def test_bad_arguments_are_refused(build):
    with pytest.raises(InputError):
        build()


# -- schedules -------------------------------------------------------------------------------------


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
        NoiseSchedule.scaled_linear(30, zero_terminal_snr=True),
        NoiseSchedule.sub_vp(30),
        NoiseSchedule.ve(30),
        NoiseSchedule.karras(30),
        NoiseSchedule.flow_matching(30, shift=3.0),
        NoiseSchedule.from_alphas_sigmas([0.9, 0.5, 0.0], [0.2, 0.6, 1.1]),
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
        (
            lambda: NoiseSchedule.from_parameters({"kind": "sigmas", "beta": 1}),
            "sigmas with the keys",
        ),
    ],
)
def test_a_table_that_is_no_schedule_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_table_that_ends_in_no_signal_is_not_told_to_leave_out_time_0():
    with pytest.raises(InputError, match=r"-0\.1 at time 3\. End in little signal, or in none"):
        NoiseSchedule.from_alphas_cumprod([0.9, 0.5, -0.1])
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
