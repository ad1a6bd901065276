"""Synthetic score errors have the size and slope they claim, and do what the claims say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixdyn import bounds, dynamics, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.solvers.field import ModelField
from verify.ledger.case import Case
from verify.ledger.verdict import Basis
from verify.measure.score_errors.inexact import (
    Curve,
    ErrorField,
    PerturbedField,
    Ridge,
    amplitude,
    fixed,
    perturbed_equilibrium,
    perturbed_model,
)
from verify.measure.score_errors.perturbed_paths import perturbed_paths
from verify.papers.ddim_hallucinates_2605_06831.claims import c_4_saddle_shift as c4

MIXTURE = GaussianMixture([[-1.0, 0.2], [0.3, -0.4], [1.2, 0.9]], 0.05, [0.2, 0.5, 0.3])
SCHEDULE = NoiseSchedule.linear(400)


@pytest.fixture(scope="module")
def case(drawn_case):
    return drawn_case


def some_error(seed, size=None):
    rng = np.random.default_rng(seed)
    ridges = []
    for weight, curve in zip((0.5, 0.3, 0.2), Curve, strict=True):
        direction = rng.standard_normal(2)
        direction /= np.linalg.norm(direction)
        ridges.append(Ridge(weight, direction, 3.0 * rng.standard_normal(2), curve))
    return ErrorField("mixed", rng.standard_normal(2), tuple(ridges), size or fixed(1.7))


@given(st.integers(0, 10_000))
def test_an_error_stays_within_its_size_and_its_jacobian_is_its_derivative(seed):
    error = some_error(seed)
    y = np.random.default_rng(seed + 1).standard_normal((20, 2))
    assert np.linalg.norm(error.shape(y), axis=1).max() <= 1.0 + 1e-12
    step = 1e-6
    numeric = np.stack(
        [
            (error.shape(y + step * unit) - error.shape(y - step * unit)) / (2 * step)
            for unit in np.eye(2)
        ],
        axis=2,
    )
    assert error.shape_jacobian(y) == pytest.approx(numeric, abs=1e-7)
    steepest = max(np.linalg.norm(r.wave) for r in error.ridges)
    assert np.linalg.norm(error.shape_jacobian(y), 2, axis=(1, 2)).max() <= steepest + 1e-12


@pytest.mark.parametrize("t", [1, 20, 200, 400])
def test_flow_and_samplers_see_the_same_perturbed_score(t):
    error = some_error(3, size=lambda v: 0.4 / v)
    model = perturbed_model(MIXTURE, SCHEDULE, error)
    sigma2 = MIXTURE.sigma**2
    v = sigma2 + float(SCHEDULE.rho[t])
    y = np.random.default_rng(t).standard_normal((30, 2)) * math.sqrt(1.0 + v)
    by_time = ModelField(model, SCHEDULE, 2, data_var=sigma2).pull(y, v)
    assert PerturbedField(MIXTURE, error).pull(y, v) == pytest.approx(by_time, rel=1e-9, abs=1e-9)


def test_the_perturbed_jacobian_is_the_exact_one_plus_the_errors():
    error, v = some_error(8), 0.3
    y = np.random.default_rng(2).standard_normal((10, 2))
    exact = dynamics.flow_jacobian(MIXTURE, y, v)
    gain = amplitude(v, MIXTURE.sigma) * error.size(v)
    found = PerturbedField(MIXTURE, error).jacobian(y, v)
    assert found == pytest.approx(exact + gain * error.shape_jacobian(y), abs=1e-7)


def test_the_amplitude_turns_a_score_error_into_a_velocity(case):
    schedule, sigma = case.schedule, case.mixture.sigma
    for t in (1, 22, 500):
        sigma_t2 = schedule.alpha_bar[t] * sigma**2 + schedule.noise_var[t]
        found = amplitude(sigma**2 + schedule.rho[t], sigma)
        assert found == pytest.approx(sigma_t2 / schedule.alpha[t], rel=1e-12)


# -- C.2, C.3 ------------------------------------------------------------------------------------


def test_a_constant_outward_error_holds_a_path_beyond_its_mode_by_exactly_delta(case):
    paths = next(p for p in perturbed_paths(case) if p.error.name == "along, growing, 0.1 l")
    u = 0.5 * math.log(paths.v[0] / paths.v[-1])
    beyond = paths.a[0] > 1.0
    expected = 0.1 + (paths.a[0, beyond] - 1.1) * math.exp(-u)
    assert paths.a[-1, beyond] - 1.0 == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("claim_id", ["C.2", "C.3"])
def test_the_bounds_with_error_are_attained(ledger, case, claim_id):
    verdict = ledger.row(claim_id, case)
    assert verdict.tightness == pytest.approx(1.0, abs=1e-6)
    assert verdict.n_held == verdict.n > 10_000


# -- C.4 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.8])
@pytest.mark.parametrize("k", [6.0, 73.0, 1000.0])
def test_a_constant_error_moves_the_saddle_as_unequal_weights_do(k, share):
    delta = share * float(bounds.critical_log_weight_ratio(k)) / k
    v, line = 1.0 / k, GaussianMixture([[0.5], [-0.5]], 0.01)
    ridge = Ridge(1.0, np.ones(1), np.zeros(1), Curve.CONSTANT)
    error = ErrorField("constant", np.zeros(1), (ridge,), fixed(delta / amplitude(v, 0.01)))
    start = np.array([-delta / (k / 4 - 1)])
    z = perturbed_equilibrium(PerturbedField(line, error), v, start)[0]
    unequal = oracles.two_mode_equilibria(k, k * delta)
    assert z == pytest.approx(unequal[1] + delta, abs=1e-10)
    first_order = -delta / (k / 4 - 1)
    assert abs(z) > abs(first_order)  # "about delta/lambda" is an understatement


def test_the_published_shift_is_short_by_a_third_near_the_fold(ledger, case):
    table = ledger.row("C.4", case, Basis.EXACT).tables[0]
    ratio = {line[2]: line[5] for line in table.rows if line[1] > 1000}
    assert ratio[1e-3] == pytest.approx(1.0, abs=1e-6)
    assert ratio[0.9] > 1.5


def test_the_radius_that_bounds_the_moved_saddle_is_where_its_condition_starts():
    k, delta = 40.0, 0.05
    r = c4.radius_of(k, delta)
    enough = [x * (k / 4 / math.cosh(k * x / 2) ** 2 - 1) >= delta for x in (r - 5e-5, r)]
    assert enough == [False, True]


# -- C.5 -----------------------------------------------------------------------------------------


def test_an_error_of_two_percent_of_the_pair_traps_a_path_that_would_leave(ledger, case):
    numbers = ledger.row("C.5", case).numbers
    assert numbers["end without an error, over l"] > 0.4
    assert numbers["end under the flipping error, over l"] < 1e-6
    assert numbers["its e_max over the score half-way to a mode"] == pytest.approx(0.08, rel=1e-9)


def test_the_criterion_misleads_for_every_coupled_error(ledger, case):
    verdict = ledger.row("C.5", case)
    coupled = verdict.numbers["errors that couple directions"]
    assert coupled > 0
    assert verdict.numbers["of them, called wrongly by the criterion alone"] == coupled


# -- C.6 -----------------------------------------------------------------------------------------


def test_errors_only_raise_a_bound_that_says_nothing_already(ledger, case):
    published = ledger.row("P5.1", case)
    table = ledger.row("C.6", case).tables[0]
    total = 10.0**published.bound.exponent
    for line in table.rows:
        assert line[2] + line[3] > total > 1.0


def test_the_bound_under_errors_applies_no_more_often_than_the_published_one_and_compares_runs(
    ledger,
    case,
):
    verdict, published = ledger.row("C.6", case), ledger.row("P5.1", case)
    assert verdict.applicable_share == published.applicable_share < 0.05
    assert {h.name for h in verdict.hypotheses} >= {"growth", "outward", "weak"}
    # A triangle inequality decides nothing: every comparison is one of counted runs.
    assert {c.relation.kind for c in verdict.comparisons} == {"statistical"}
    (control,) = verdict.mutants
    assert control.narrow


def test_the_errors_that_trap_ddpm_are_those_the_hypothesis_excludes(ledger, case):
    numbers = ledger.row("C.6", case).numbers
    assert numbers["its λ'"] < 0.0
    assert numbers["its share of DDPM runs that end within θ"] > 0.5
    assert numbers["an error that reverses the drift: e_max over that limit"] > 100.0


def test_one_mode_offers_no_pair_for_an_error_to_act_on():
    single = Case("user", GaussianMixture([[0.0, 0.0]], 0.1), SCHEDULE)
    assert perturbed_paths(single) == []
