"""The midpoint bounds and their exact counterpart: numbers of the standard problem, and the
reference that the sharp bound compares with."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixdyn import bounds, geometry, oracles
from mixdyn.problem.mixture import GaussianMixture
from verify.ledger.relations import Outcome
from verify.ledger.verdict import Basis
from verify.measure.midpoint import comparison_diffusion, linear_confinement, stretch


@pytest.fixture(scope="module")
def case(drawn_case):
    return drawn_case


@pytest.fixture(scope="module")
def published(ledger, case):
    return ledger.row("P5.1", case)


@pytest.fixture(scope="module")
def sharp(ledger, case):
    return ledger.rows("X5", case)


def test_the_window_of_the_standard_problem_starts_at_raw_time_22(case):
    found = stretch.find_window(case)
    assert (found.t, found.steps) == (22, 9)
    assert found.pair.length == pytest.approx(0.70709, abs=5e-6)


def test_the_published_bound_is_vacuous_in_its_own_regime(published):
    assert published.verdict is Outcome.VACUOUS
    numbers = published.numbers
    assert numbers["first term (confinement)"] == pytest.approx(1.27, abs=5e-3)
    assert numbers["first term (confinement)"] + numbers["second term (return)"] > 1.3
    assert published.nonvacuous_share == 0.0


def test_the_drift_integrals_of_the_published_bound_are_those_found_independently(published):
    numbers = published.numbers
    assert numbers["∫K, supremum form, summed over times 1..τ"] == pytest.approx(6.4, abs=0.05)
    assert numbers["∫K of the stated hypothesis |b| ≤ K|a|"] == pytest.approx(1088, abs=0.5)
    assert numbers["∫K of |b| ≤ K|a| on [θ, 2θ] alone"] == pytest.approx(9.4, abs=0.05)
    # The paper's sum takes K at the noisy end of each step; the integral is larger.
    assert 7.8 < numbers["∫K, supremum form, as an integral down to clean data"] < 8.0


def test_even_without_drift_the_noise_left_makes_the_published_bound_vacuous(published):
    assert published.numbers["first term without any drift"] > 1.2


def test_the_outward_condition_ends_next_to_the_mode(published):
    for name in ("a_*/l at raw time 1", "a_*/l at τ"):
        assert published.numbers[name] == pytest.approx(0.5, abs=2e-5)
    outward = next(h for h in published.hypotheses if h.name == "outward")
    assert outward.held_share < 0.1
    assert next(h for h in published.hypotheses if h.name == "growth").held_share == 1.0


def test_the_published_row_applies_where_its_hypotheses_held_together(published):
    held = {h.name: h.held_share for h in published.hypotheses}
    assert published.applicable_share <= min(held.values()) < 0.05
    favourable = "share of times at which the paper's own check holds, outward on [θ, 2θ] alone"
    assert published.numbers[favourable] == 1.0


def test_the_published_rows_control_is_its_own_constant_and_fails_narrowly(published):
    (control,) = published.mutants
    assert control.narrow
    assert control.excess == pytest.approx(10.0, abs=0.1)
    factor = published.numbers[
        "factor on the first term's exponent at which it would meet the truth"
    ]
    first = published.numbers["first term (confinement)"]
    exponent = math.log(4.0 / math.pi) - math.log(first)
    met = math.log(4.0 / math.pi) - factor * exponent
    assert met == pytest.approx(published.truth.exponent * math.log(10.0), rel=1e-9)


def test_bound_sharper_bound_and_truth_stand_in_one_row(published):
    truth = 10.0 ** (published.truth.exponent + 265)
    assert truth == pytest.approx(4.4, abs=0.01)
    assert published.measured.exponent == pytest.approx(published.truth.exponent, abs=1e-9)
    assert published.truth.exponent <= published.sharper_bound.exponent
    assert published.sharper_bound.exponent == pytest.approx(published.truth.exponent, abs=1e-5)
    assert published.bound.exponent > 0.0


def test_the_sharp_bound_equals_the_truth_with_the_pairs_length(sharp):
    row = sharp[Basis.EXACT]
    assert row.verdict is Outcome.HOLDS
    assert 10.0 ** (row.truth.exponent + 265) == pytest.approx(4.4, abs=0.01)
    assert row.bound.exponent == pytest.approx(row.truth.exponent, abs=1e-9)


def test_a_shorter_reference_costs_seventy_orders_of_magnitude(sharp):
    shorter = sharp[Basis.EXACT].numbers["bound in the paper's regime with l' = 0.9 l"]
    assert 10.0 ** (shorter.exponent + 195) == pytest.approx(3.0, abs=0.5)


def test_the_sharp_bound_covers_a_wide_sweep_without_a_violation(sharp):
    comparisons = {c.name: c for c in sharp[Basis.EXACT].comparisons}
    symmetric = comparisons["mixtures symmetric about a bisector"]
    assert symmetric.n > 4000
    assert symmetric.n_held == symmetric.n


def test_on_the_grid_itself_the_reference_is_as_long_as_the_pair(sharp):
    row = sharp[Basis.SAMPLED]
    assert row.verdict is Outcome.HOLDS
    assert abs(row.numbers["1 - l'/l"]) < 1e-8
    assert row.bound.exponent == pytest.approx(-264.356, abs=1e-3)
    two_references = row.numbers["what two references of unequal weight would add, e^(-l²/v_τ)"]
    assert -32.0 < two_references.exponent < -31.0


@pytest.mark.parametrize("log_ratio", [0.3, 2.0])
def test_two_unequal_modes_have_a_reference_of_their_own_length_and_a_straight_center(log_ratio):
    weights = np.array([1.0, math.exp(-log_ratio)])
    mixture = GaussianMixture([[0.5], [-0.5]], 0.04, weights / weights.sum())
    pair = geometry.pair(mixture, 0, 1)
    found = comparison_diffusion.find_reference(mixture, pair, 0.02, 0.04**2)
    assert found.length == pytest.approx(1.0, abs=1e-6)
    assert found.center == pytest.approx(-found.v * log_ratio, rel=1e-6)


def test_a_drift_that_depends_on_the_place_across_the_pair_has_no_reference():
    mixture = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.3, 1.5]], 0.05)
    assert (
        comparison_diffusion.find_reference(mixture, geometry.pair(mixture, 0, 1), 0.01, 0.0025)
        is None
    )


@pytest.mark.slow
@given(
    st.lists(st.floats(0.4, 3.0), min_size=1, max_size=5),
    st.lists(st.floats(0.05, 1.0), min_size=6, max_size=6),
    st.floats(10.0, 60.0),
    st.floats(0.02, 0.45),
)
def test_the_truth_never_exceeds_the_bound_of_the_found_reference(gaps, weights, ratio, theta):
    means = np.concatenate([[0.0], np.cumsum(gaps)])[:, None]
    w = np.array(weights[: len(means)])
    mixture = GaussianMixture(means, min(gaps) / ratio, w / w.sum())
    i, j = geometry.nearest_pairs(mixture)[0]
    pair = geometry.pair(mixture, i, j)
    v_start, v_end = pair.length**2 / 28.0, mixture.sigma**2
    found = comparison_diffusion.find_reference(mixture, pair, v_start, v_end)
    if found is None:
        return
    start = pair.midpoint + pair.length * np.array([[-0.5], [0.0], [0.05], [0.5], [2.0]])
    abar = 1.0 / (1.0 + v_start - v_end)
    law = oracles.reverse_mixture(mixture, math.sqrt(abar) * start, abar)
    half_width = theta * pair.length
    truth = law.log_slab_probability(pair.direction, pair.midpoint, half_width)
    assert truth.max() <= found.log_probability(half_width) + 1e-8


def test_confinement_at_a_single_node_is_the_slab_probability():
    pair = GaussianMixture([[0.5], [-0.5]], 0.05)
    theta, v_start, v_end = 0.1, 0.0030, 0.0025
    found = linear_confinement.log_confined_at_nodes(pair, theta, v_start, v_end)
    law = oracles.reverse_mixture(pair, [[0.0]], 1.0 / (1.0 + v_start - v_end))
    one = float(law.log_slab_probability([1.0], [0.0], 2.0 * theta)[0])
    assert found < one  # three nodes instead of one
    assert found == pytest.approx(one, abs=0.05)


def test_a_linear_drift_is_its_own_linear_comparison():
    # One mode at 0: b = a/2 - a/sigma_t^2, so A is the comparison process itself.
    single = GaussianMixture([[0.0], [0.0]], 0.05, allow_duplicates=True)
    v_start, v_end, theta = 0.02, 0.0025, 0.03
    found = linear_confinement.linear_comparison(single, theta, v_start, v_end)
    law = oracles.reverse_mixture(single, [[0.0]], 1.0 / (1.0 + v_start - v_end))
    exact = float(law.log_slab_probability([1.0], [0.0], 2.0 * theta)[0])
    assert found.log_bound == pytest.approx(exact, abs=1e-2)
    assert found.log_bound >= exact


def test_a_midpoint_next_to_the_brownian_case_is_confined_as_often_as_a_theta_series_says():
    # Two modes so wide that their drift is negligible over a short stretch: Brownian motion.
    pair = GaussianMixture([[1e-3], [-1e-3]], 1.0)
    theta, v_end = 0.02, 1.0
    v_start = v_end + 3e-3
    found = linear_confinement.log_confined_at_nodes(pair, theta, v_start, v_end)
    assert found >= bounds.log_brownian_confinement(2.0 * theta, 3e-3) - 1e-9
