"""X8: the variance that a reverse step should have, on mixtures where two routes give it."""

import re

import numpy as np
import pytest

from mixdyn import AdaptiveNoise, GaussianMixture, NoiseSchedule, presets
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Control
from verify.ledger.relations import Outcome
from verify.ledger.rows import check, row_of
from verify.ledger.verdict import NegativeControl
from verify.measure import exact_sampler
from verify.measure.ends import Ends, ends_of
from verify.measure.networks import adaptive_rows
from verify.measure.networks.models import TrainedModel
from verify.papers.own.claims import x_8_noise

PROBLEMS = {
    "standard": presets.grid(),
    "one mode": GaussianMixture([[0.5, -0.2]], 0.3),
    "sigma per mode": GaussianMixture([[0.0], [1.0], [3.0]], [0.05, 0.2, 0.1], [0.1, 0.3, 0.6]),
    "five dimensions": presets.farthest_point(5, 7),
}


def case_of(name, schedule=None):
    # Random problems have no learned rows: this file is about the exact score and the judging.
    return Case(name, PROBLEMS[name], schedule or NoiseSchedule.linear(), random=True)


def judge(case, **changed):
    return row_of(x_8_noise.CLAIM, case, x_8_noise.exact, **changed)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Enough for a margin of 8 % in place of 3 %."""
    monkeypatch.setattr(exact_sampler, "_SAMPLES", (6_000, 6_000))
    monkeypatch.setattr(exact_sampler, "SPREAD_MARGIN", 0.08)
    monkeypatch.setattr(exact_sampler, "WEIGHT_MARGIN", 0.03)
    monkeypatch.setattr(exact_sampler, "RATE_MARGIN", 4e-3)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_identity_holds_and_its_mutants_do_not(name):
    case = case_of(name)
    row = judge(case)
    assert row.verdict is Outcome.HOLDS, row
    for changed in ({"posterior": 0.0}, {"power": 1}, {"posterior": 1.0 + 2e-8}):
        mutant = judge(case, **changed)
        assert mutant.verdict is Outcome.FAILS
        assert mutant.quantity == "covariance of the reverse kernel"


def test_the_sampler_comes_back_with_spread_weights_and_rate_of_the_exact_score():
    case = case_of("standard")
    names = [c.name for c in judge(case).comparisons]
    assert any(name.startswith("spread") for name in names)
    assert any(name.startswith("error of the weights") for name in names)
    assert len(names) == 12  # identity, seven spreads, two weights, rate, evaluations
    assert {c.outcome for c in judge(case).comparisons} == {Outcome.HOLDS}


@pytest.mark.parametrize(
    ("wrong", "quantity"),
    [
        (exact_sampler.Wrong(AdaptiveNoise(late_noise=False)), "spread"),
        (exact_sampler.Wrong(wider=1.15), "spread"),
        (exact_sampler.Wrong(tilt=0.3), "error of the weights"),
    ],
    ids=["last step only", "wider modes", "other weights"],
)
def test_spread_and_weights_can_each_be_wrong_and_fail_narrowly(wrong, quantity):
    row = judge(case_of("standard"), wrong=wrong)
    assert row.verdict is Outcome.FAILS
    control = NegativeControl.of("", row)
    assert row.quantity.startswith(quantity)
    assert control.narrow


@pytest.mark.parametrize(
    ("mixture", "schedule", "words"),
    [
        (PROBLEMS["sigma per mode"], None, "width"),
        (PROBLEMS["standard"], NoiseSchedule.linear(20, 0.005, 0.9), "fewer than"),
        (PROBLEMS["standard"], NoiseSchedule.linear(100), "N\\(0, I\\)"),
        (presets.two_modes(separation=2.0, sigma=0.3, d=2), None, "sigma apart"),
        (presets.two_modes(separation=20.0, sigma=0.3, d=2), None, "not near 1"),
        (
            GaussianMixture([[0.0], [1.0], [-1.0]], 0.05, [1e-5, 0.5, 0.49999]),
            None,
            "rare",
        ),
    ],
    ids=["width", "times", "start", "apart", "size", "rare"],
)
def test_where_the_sampler_is_not_judged_the_row_says_why(mixture, schedule, words):
    case = Case("user", mixture, schedule or NoiseSchedule.linear(), random=True)
    row = judge(case)
    assert re.search(words, row.note)
    assert [c.name for c in row.comparisons] == ["covariance of the reverse kernel"]


def test_a_schedule_of_one_step_is_judged_too():
    (row,) = check(x_8_noise.CLAIM, case_of("one mode", NoiseSchedule.from_betas([0.3])))
    assert row.verdict is Outcome.HOLDS
    assert "fewer than" in row.note


def test_a_midpoint_asks_for_more_noise_than_a_step_allows_and_a_mode_does_not():
    """Up to 26 at a midpoint (independent scripts), 1 at an owned point as sigma -> 0."""
    (row,) = check(x_8_noise.CLAIM, case_of("standard"))
    table = row.tables[0]
    needed = np.array([r[2] for r in table.rows if 9 <= r[0] <= 60])
    at_mode = np.array([r[3] for r in table.rows if 9 <= r[0] <= 60])
    allowed = np.array([r[4] for r in table.rows if 9 <= r[0] <= 60])
    assert (needed > 2.0).all()
    assert (needed < 27.0).all()
    assert (needed > allowed).all()
    assert (at_mode < 1.05).all()


def made_up(interpolations, n, modes=None, spread=1.05, n_eval=46.0):
    counts = np.array([n - interpolations, interpolations, 0])
    expected = np.full(4, (n - interpolations) / 4)
    seen = expected if modes is None else np.asarray(modes) * (n - interpolations)
    chi_square = float((np.square(seen - expected) / expected).sum()) + 3.0
    return Ends(counts, seen, expected, chi_square, spread, spread / np.sqrt(4.0 * n), n_eval)


def trial(**changed):
    """One in which the adaptive sampler does well but for what is changed."""
    adaptive = made_up(**({"interpolations": 60, "n": 200_000} | changed))
    few, every = made_up(1700, 80_000, n_eval=50), made_up(24, 40_000, spread=0.68, n_eval=1000)
    return adaptive_rows.Trial("made up", adaptive, few, every)


def outcomes(**changed):
    return [c.outcome for c in x_8_noise.compare_trial(trial(**changed))]


def test_a_trial_in_which_all_is_well_holds():
    assert set(outcomes()) == {Outcome.HOLDS}


@pytest.mark.parametrize(
    ("changed", "which"),
    [
        ({"n_eval": 50.5}, 1),
        ({"interpolations": 2200}, 2),
        ({"modes": [0.3, 0.2, 0.3, 0.2]}, 3),
        ({"spread": 1.4}, 4),
    ],
    ids=["too many evaluations", "rate above DDPM's", "wrong weights", "wrong spread"],
)
def test_each_promise_can_be_broken_alone(changed, which):
    found = outcomes(**changed)
    assert found[which] is Outcome.FAILS
    assert {outcome for k, outcome in enumerate(found) if k != which} == {Outcome.HOLDS}


def test_a_rate_twenty_times_ddpm_s_is_not_taken_for_no_worse():
    """Where both intervals overlap nothing is shown: 2,000 samples of DDPM decide nothing."""
    adaptive, every = made_up(132, 12_000), made_up(8, 2_000, spread=0.68)
    found = x_8_noise.compare_trial(adaptive_rows.Trial("m", adaptive, adaptive, every))
    assert found[2].outcome is Outcome.INCONCLUSIVE
    assert found[2].resolution is None or found[2].resolution > 0.01


CONTROLS = {
    control.name: control.changed["change"]
    for control in x_8_noise.CLAIM.controls
    if isinstance(control, Control) and control.row.measure is x_8_noise.learned
}


@pytest.mark.parametrize("change", CONTROLS.values(), ids=CONTROLS)
def test_each_control_breaks_a_trial_in_which_all_is_well(change):
    found = x_8_noise.compare_trial(change(trial()))
    assert Outcome.FAILS in {c.outcome for c in found}


def test_the_interval_of_the_weights_covers_a_known_error():
    """Draws of known weights: the interval contains the true sum (p - w)^2/w, and is not idle."""
    weights, p = np.full(10, 0.1), np.array([0.13, 0.07] + [0.1] * 8)
    truth = float((np.square(p - weights) / weights).sum())
    rng = np.random.default_rng(0)
    for n in (5_000, 100_000):
        seen, expected = rng.multinomial(n, p), n * weights
        chi_square = float((np.square(seen - expected) / expected).sum())
        counts = np.array([n, 0, 0])
        low, high = Ends(counts, seen, expected, chi_square, 1.0, 0.01, 1.0).weight_interval()
        assert low < truth < high
    assert high < 1.5 * truth
    assert low > 0.5 * truth


def test_final_samples_are_sorted_into_modes_and_measured_in_their_sigma():
    mixture = GaussianMixture([[0.0, 0.0], [2.0, 0.0]], [0.1, 0.2], [0.25, 0.75])
    x = np.array([[0.1, 0.0], [2.0, 0.2], [2.0, -0.2], [2.2, 0.0], [0.8, 0.0], [1.0, 9.0]])
    found = ends_of(mixture, x, 7.0)
    assert found.counts.tolist() == [4, 1, 1]
    assert found.modes.tolist() == [1, 3]
    assert found.chi_square == pytest.approx(0.0, abs=1e-12)
    assert found.spread == pytest.approx(np.sqrt(0.5))
    assert found.n_eval == 7.0


@pytest.mark.parametrize(
    ("rate", "drawn"), [(0.03, [3_000, 2_000]), (0.01, [3_000, 2_000, 12_000, 8_000])]
)
def test_a_network_elsewhere_draws_more_only_where_a_quarter_leaves_the_order_open(
    monkeypatch, rate, drawn
):
    seen = []

    def ends(problem, model, sampler, n, first=0):
        seen.append(n)
        return made_up(round(n * (0.003 if isinstance(sampler, AdaptiveNoise) else rate)), n)

    monkeypatch.setattr(adaptive_rows, "_ends", ends)
    found = adaptive_rows._elsewhere(case_of("standard"), TrainedModel("made up", None))
    assert seen == drawn
    assert (found.adaptive.counts.sum(), found.ddim.counts.sum()) == tuple(drawn[-2:])


def test_nothing_lies_between_the_modes_of_one():
    with pytest.raises(NotApplicableError, match="two modes"):
        adaptive_rows.trials_of(case_of("one mode"), [])
