"""Cards: what an audit finds of samplers whose faults are known."""

import itertools
import json

import numpy as np
import pytest

from mixdyn import DDIM, GaussianMixture, NoiseSchedule, Retry, sample, transcribe
from mixdyn.affine import impulses
from mixdyn.audit.card import NAMED, audit, natural_images, two_modes
from mixdyn.audit.measuring import BySampling
from mixdyn.audit.page import page
from mixdyn.samplers.options import samplers
from mixdyn.support.errors import InputError, NotAffineError
from mixdyn.support.numbers import dump_json

KEYS = (
    "library version sampler settings steps n_eval affine response consistency clock end "
    "step_quotient order floor errors mixture seeded grids words"
)


def euler(model, x, rng, steps=20, low=0.01, clip=np.inf, late=1.0, hidden=None):
    """Denoiser asked at sigma; at late sigma in its second half; with noise that is not handed."""
    sigmas = np.append(np.geomspace(80.0, low, steps), 0.0)
    for k, (now, then) in enumerate(itertools.pairwise(sigmas)):
        asked = now * (late if 2 * k > steps else 1.0)
        x0 = np.clip(model(x, asked), -clip, clip)
        x = x + (x - x0) / now * (then - now)
        if hidden is not None:
            x = x + 1e-3 * hidden.standard_normal(x.shape)
    return x


ASKS = {"level": "sigma", "predicts": "x0"}


@pytest.fixture(scope="module")
def ours():
    return audit("ddim", 50)


def test_a_card_has_the_keys_and_is_strict_json(ours):
    facts = json.loads(dump_json(ours.facts()))
    assert list(facts) == KEYS.split()
    assert set(facts["response"][0]) == {"std", "mean", "gain", "mean_error"}
    assert [set(row) for row in facts["clock"]] == 50 * [{"call", "asked", "true"}]
    assert set(facts["mixture"]) == {"outside", "weights"}
    assert (facts["library"], facts["steps"], facts["n_eval"]) == ("mixdyn", 50, 50)
    assert len(facts["words"]) == 3


def test_the_card_of_our_ddim_has_the_figures_of_its_plan(ours):
    plan = transcribe(DDIM(steps=50))
    stds = [row.std for row in ours.response]
    errors, gains = plan.response(stds, 0.7)
    assert [row.gain for row in ours.response] == gains.tolist()
    assert [row.mean_error for row in ours.response] == errors.tolist()
    assert ours.w2 == plan.w2(natural_images())
    assert set(NAMED) < set(stds)
    assert ours.affine
    assert ours.seeded
    assert ours.price is None
    assert ours.order == pytest.approx(1.0, abs=0.1)
    assert abs(ours.clock_error[1]) < 1e-9
    assert ours.outside.trials == 10_000
    low, high = ours.weights[0].interval(1e-6)
    assert low < 0.5 < high


def test_noise_in_the_steps_has_a_price_and_frees_paths_from_the_midpoint():
    noisy, still = audit("ddim", 50, eta=1.0), audit("ddim", 50)
    assert noisy.price > 0.0
    assert still.price is None
    assert noisy.trapped.rate < 0.2
    one = audit("ddim", 50, mixture=GaussianMixture([[0.0, 0.0]], 0.1))
    assert one.trapped is None
    assert len(one.weights) == 1


def test_modes_that_are_not_isotropic_are_audited():
    long = GaussianMixture([[-0.5, 0.0], [0.5, 0.0]], covariance=[[0.01, 0.004], [0.004, 0.003]])
    card = audit("ddim", 50, mixture=long, eta=1.0)
    assert card.outside.rate < 0.01
    assert card.trapped.rate < 0.2
    assert sum(share.rate for share in card.weights) == pytest.approx(1.0)


def test_a_clock_that_is_late_is_found_at_its_call():
    right, wrong = (audit(euler, 20, late=late, **ASKS) for late in (1.0, 1.2))
    assert abs(right.clock_error[1]) < 1e-9
    assert right.order == pytest.approx(1.0, abs=0.1)
    call, error = wrong.clock_error
    assert call > 10
    assert error < -0.1
    assert f"at call {call}" in wrong.words[1]
    assert "at call" not in right.words[1]


def test_a_sampler_that_clips_is_audited_by_sampling_in_words():
    card = audit(euler, 20, clip=0.9, **ASKS)
    assert not card.affine
    assert card.order is None
    assert "not affine" in card.words[1]
    wide = card.named[-1]
    assert wide.gain + wide.gain_half < 0.8  # ends within 0.9 of 0 cannot have the spread 1
    assert wide.gain_half > 0.0
    assert card.n_eval == 20


def test_a_plan_too_large_to_be_read_off_is_sampled_and_not_called_curved(monkeypatch):
    monkeypatch.setattr(impulses, "_BYTES", 1e3)
    card = audit(euler, 20, **ASKS)
    assert card.affine is None
    assert "by sampling: to read its plan off would take 8.4e+03 bytes" in card.words[0]
    assert "affine" not in card.words[1]
    assert "not read off (to read its plan off" in page([card])


@pytest.mark.parametrize(("name", "tried"), [("adaptive", 64), ("checked", 128)])
def test_samplers_that_try_their_model_out_and_repeat_rows_are_sampled(name, tried):
    """Their tests and repetitions are evaluations, of some rows, as the engine counts them."""
    card, schedule, own = audit(name, 15), NoiseSchedule.linear(), samplers()[name](steps=15)
    assert card.affine is False
    assert f"call 2 for {tried} rows of 2" in card.words[1]
    assert card.n_eval == pytest.approx(
        sample(two_modes(), schedule, own, n=10_000, rng=1).n_eval, abs=0.2
    )
    assert card.n_eval > 15.5
    assert card.seeded
    assert len(card.clock) >= 15
    assert abs(card.clock_error[1]) < 0.05
    row = card.named[1]
    x = sample(GaussianMixture([[row.mean]], row.std), schedule, own, n=10_000, rng=1).x
    assert abs(x.std() / row.std - row.gain) < 4.0 * row.gain_half
    assert abs(x.mean() - row.mean - row.mean_error) < 4.0 * row.mean_half


def test_a_sampler_that_never_asks_for_the_whole_batch_has_a_clock_that_says_nothing():
    def of_the_first(model, x, rng):
        return x - np.repeat(model(x[:1], 1.0), len(x), axis=0)

    card = audit(of_the_first, brief=True, **ASKS)
    assert card.affine is False
    assert card.n_eval == pytest.approx(1e-4)  # one row of ten thousand
    assert [asked for asked, _ in card.clock] == [1.0]
    assert np.isnan(card.clock[0][1])
    assert card.clock_error == (1, 0.0)


def test_a_sampler_that_is_tested_and_repeated_has_no_plan_but_a_card():
    with pytest.raises(NotAffineError, match="a draw for a check at t = "):
        transcribe(Retry(DDIM(steps=10)))
    card = audit(Retry(DDIM(steps=10)), brief=True)
    assert 10.0 < card.n_eval < 20.0


def test_sampling_agrees_with_the_plan_within_its_intervals():
    from mixdyn.affine.drivers import driver_of

    driver, plan = driver_of(euler, 20, ASKS), transcribe(euler, 20, **ASKS)
    sampled = BySampling(driver)
    stds = np.array(NAMED)
    _, gains = plan.response(stds, 0.7)
    for row, gain in zip(sampled.responses(stds, 0.7), gains, strict=True):
        assert abs(row.gain - gain) < 3.0 * row.gain_half
        assert row.gain_half < 0.03 * gain
    asked, true = sampled.clock()
    assert asked == pytest.approx(plan.noise_std[:-1])
    assert true == pytest.approx(plan.clock().true[:-1], rel=0.1)


def test_noise_that_no_seed_names_is_found():
    card = audit(euler, 20, hidden=np.random.default_rng(3), **ASKS)
    assert not card.seeded
    assert "the same seed gives another sample" in card.words[1]


def test_noise_that_is_not_normal_is_sampled():
    def signs(model, x, rng, steps=20):
        x = euler(model, x, rng, steps)
        return x + 0.2 * rng.choice([-1.0, 1.0], x.shape)

    card = audit(signs, 20, **ASKS)
    assert not card.affine
    assert "rng.choice" in card.words[1]
    row = card.named[2]
    assert row.std == 0.2
    expected = np.hypot(transcribe(euler, 20, **ASKS).response(0.2)[1][0], 1.0)
    assert abs(row.gain - expected) < 2.0 * row.gain_half
    assert card.seeded


def test_a_card_of_fifty_steps_asks_its_sampler_little():
    asked = []

    def counted(model, x, rng, steps=50):
        def model_counted(x, at):
            asked.append(len(x))
            return model(x, at)

        return euler(model_counted, x, rng, steps)

    card = audit(counted, 50, **ASKS)
    assert card.affine
    # Transcriptions at 50, 100 and 200 steps, three runs each, and two runs for the seeds.
    assert len(asked) == 3 * 350 + 2 * 50
    assert sum(asked) < 60_000


def test_a_page_is_one_file_with_every_part(ours):
    text = page([ours, audit(euler, 20, clip=0.9, **ASKS)])
    assert "http" not in text.replace("http://www.w3.org", "")
    assert text.count("<svg") == 3
    assert text.count("<section>") == 2
    for part in (
        "Clock",
        "errors apart",
        "W2 on the spectrum",
        "trapping",
        "price of score error",
        "Mixture",
    ):
        assert part in text
    assert all(sentence.replace("'", "&#39;") in text for sentence in ours.words)


def test_a_spectrum_is_of_variances():
    with pytest.raises(InputError, match="variances > 0"):
        audit("ddim", 10, eigenvalues=[1.0, 0.0])
    assert natural_images().mean() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("level", "handed"), [("sigma", -3.0), ("abar", 1.5), ("abar", -0.1), ("flow", 1.2)]
)
def test_a_level_outside_its_range_is_one_line(level, handed):
    with pytest.raises(InputError, match=f"level='{level}' names a number.*received") as error:
        transcribe(lambda model, x, rng, steps: x - model(x, handed), 5, level=level)
    assert "\n" not in str(error.value)
