"""Every normal is a stated function of (seed, sample, time, stream, coordinate); together they are
standard normal and independent across coordinates, samples, times and streams."""

import mpmath
import numpy as np
import pytest
from numba import config
from scipy import stats

from mixdyn import NoiseSchedule
from mixdyn.problem.noise import (
    MAX_DIMENSION,
    MAX_TIME,
    Stream,
    path_normals,
    path_weights,
    resolve_seed,
    standard_normals,
)
from mixdyn.support.errors import InputError

EPS = np.finfo(float).eps
LOW = 2**32 - 1


def plain_philox(counter, key):
    """Philox4x32-10 in Python integers, from the definition (SC11, section 3.3)."""
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & LOW, (p0 >> 32) ^ c[3] ^ k1, p0 & LOW]
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c


def plain_normal(seed, i, j, t, stream):
    """Coordinate j of sample i at time t: Box-Muller on 52-bit midpoints, in 120 bits."""
    counter = (i & LOW, i >> 32, t, int(stream) << 24 | j // 2)
    r = plain_philox(counter, (seed & LOW, seed >> 32))
    with mpmath.workprec(120):
        u, v = (mpmath.mpf(((a << 32) | b) >> 12) for a, b in ((r[0], r[1]), (r[2], r[3])))
        u, v = (u + 0.5) / 2**52, (v + 0.5) / 2**52
        turn = mpmath.sinpi(2 * v) if j % 2 else mpmath.cospi(2 * v)
        return float(mpmath.sqrt(-2 * mpmath.log(u)) * turn)


def test_the_plain_transcription_gives_a_published_known_answer():
    key = (0xA4093822, 0x299F31D0)
    counter = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert plain_philox(counter, key) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize(
    ("seed", "first", "t", "stream", "d"),
    [
        (0, 0, 0, Stream.START, 1),
        (1, 5, 1, Stream.STEP, 2),
        (2**64 - 1, 2**32 - 3, 1000, Stream.STEP, 3),  # the sample index crosses 32 bits
        (0x0123456789ABCDEF, 2**62, MAX_TIME, Stream.EXTRA, 7),
    ],
)
def test_normals_are_box_muller_on_philox_words_of_the_stated_counter(seed, first, t, stream, d):
    n = 6
    z = standard_normals(seed, n, d, t, stream=stream, first=first)
    truth = np.array(
        [[plain_normal(seed, first + i, j, t, stream) for j in range(d)] for i in range(n)]
    )
    # log and turn 2 ulp each, a square root and a product.
    assert (np.abs(z - truth) <= 5 * EPS * np.abs(truth)).all()


def test_a_batch_split_anywhere_draws_the_same_bits():
    n = 9 if config.DISABLE_JIT else 300
    whole = standard_normals(7, n, 3, 4, first=2**32 - 100)
    for cut in (1, n // 3, n - 1):
        parts = [
            standard_normals(7, cut, 3, 4, first=2**32 - 100),
            standard_normals(7, n - cut, 3, 4, first=2**32 - 100 + cut),
        ]
        assert np.vstack(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_coordinate_does_not_depend_on_how_many_follow_it(d):
    assert (standard_normals(3, 5, d, 9) == standard_normals(3, 5, 6, 9)[:, :d]).all()


def test_seeds_times_streams_and_samples_share_no_normal():
    drawn = [
        standard_normals(0, 4, 2, 1),
        standard_normals(1, 4, 2, 1),
        standard_normals(1 << 32, 4, 2, 1),
        standard_normals(0, 4, 2, 2),
        standard_normals(0, 4, 2, 1, stream=Stream.START),
        standard_normals(0, 4, 2, 1, stream=Stream.EXTRA),
        standard_normals(0, 4, 2, 1, first=4),
        standard_normals(0, 4, 2, 1, first=1 << 32),
    ]
    assert len(np.unique(np.array(drawn))) == len(drawn) * 8


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((-1, 1, 1, 1), {}),
        ((2**64, 1, 1, 1), {}),
        ((True, 1, 1, 1), {}),
        ((0, 0, 1, 1), {}),
        ((0, 1, 0, 1), {}),
        ((0, 1, MAX_DIMENSION + 1, 1), {}),
        ((0, 1, 1, -1), {}),
        ((0, 1, 1, MAX_TIME + 1), {}),
        ((0, 1, 1, 1.0), {}),
        ((0, 1, 1, 1), {"first": -1}),
        ((0, 1, 1, 1), {"first": 2**63 + 1}),
    ],
)
def test_arguments_outside_the_counter_are_refused(arguments, options):
    with pytest.raises(InputError) as caught:
        standard_normals(*arguments, **options)
    assert caught.value.rule
    assert caught.value.remedy


# -- seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 5, 2**64 - 1, np.int64(3), np.uint64(2**64 - 1)])
def test_an_integer_seed_is_taken_as_it_is(seed):
    assert resolve_seed(seed) == int(seed)


def test_a_seed_sequence_gives_its_first_word_and_stays_as_it_was():
    sequence = np.random.SeedSequence(11)
    expected = int(np.random.SeedSequence(11).generate_state(1, np.uint64)[0])
    assert resolve_seed(sequence) == expected
    assert resolve_seed(sequence) == expected


def test_a_generator_gives_one_draw_and_moves_on():
    rng, twin = np.random.default_rng(4), np.random.default_rng(4)
    assert resolve_seed(rng) == int(twin.integers(0, 2**64, dtype=np.uint64))
    assert rng.random() == twin.random()


def test_no_seed_means_fresh_entropy_each_time():
    assert len({resolve_seed(None) for _ in range(4)}) == 4


@pytest.mark.parametrize(
    "seed", [-1, 2**64, True, np.bool_(False), 1.0, "1", [1], np.random.RandomState(0)]
)
def test_other_seeds_are_refused(seed):
    with pytest.raises(InputError):
        resolve_seed(seed)


# -- one Brownian path, many step sizes ----------------------------------------------------------


def composed_posterior(schedule, t, s):
    """(factor on x_t, factor on x0, noise factors (t - s,)) of the fine ancestral steps t -> s
    with a frozen x0, each the posterior of Ho et al. (arXiv 2006.11239, equations 6 and 7)."""
    beta, abar = schedule.beta, np.cumprod(1 - schedule.beta)
    on_x, on_x0, noise = 1.0, 0.0, []
    for r in range(t, s, -1):
        on_clean = np.sqrt(abar[r - 1]) * beta[r] / (1 - abar[r])
        on_noisy = np.sqrt(1 - beta[r]) * (1 - abar[r - 1]) / (1 - abar[r])
        std = np.sqrt((1 - abar[r - 1]) / (1 - abar[r]) * beta[r])
        on_x, on_x0 = on_noisy * on_x, on_noisy * on_x0 + on_clean
        noise = [on_noisy * c for c in noise] + [std]
    return on_x, on_x0, np.array(noise)


@pytest.mark.parametrize(("t", "s"), [(9, 2), (40, 39), (30, 1), (12, 11)])
def test_fine_steps_with_a_frozen_clean_sample_compose_to_the_coarse_step(t, s):
    schedule = NoiseSchedule.linear(40, 0.01, 0.2)
    on_x, on_x0, noise = composed_posterior(schedule, t, s)
    q = schedule.rho[s] / schedule.rho[t]
    coarse_std = np.sqrt(schedule.noise_var[s] * (1 - q))
    keep = np.sqrt((schedule.noise_var[s] - coarse_std**2) / schedule.noise_var[t])
    assert np.allclose(noise, coarse_std * path_weights(schedule, t, s), rtol=1e-12)
    assert np.isclose(on_x, keep, rtol=1e-12)
    assert np.isclose(on_x0, schedule.alpha[s] - keep * schedule.alpha[t], rtol=1e-12)


@pytest.mark.parametrize(("t", "s"), [(1000, 0), (1000, 999), (1, 0), (2, 0), (22, 5)])
def test_path_weights_have_unit_norm(t, s):
    weights = path_weights(NoiseSchedule.linear(), t, s)
    assert len(weights) == t - s
    assert abs(np.square(weights).sum() - 1) <= 4 * EPS


def test_the_weights_into_time_zero_are_those_into_time_one_and_no_new_noise():
    schedule = NoiseSchedule.linear(30)
    assert path_weights(schedule, 9, 0).tolist() == [*path_weights(schedule, 9, 1), 0.0]


def test_path_normals_are_the_weighted_sums_of_the_step_normals():
    schedule, (t, s), n, d = NoiseSchedule.linear(30), (9, 4), 5, 3
    fine = [standard_normals(2, n, d, r, first=6) for r in range(t, s, -1)]
    expected = np.tensordot(path_weights(schedule, t, s), fine, axes=1)
    drawn = path_normals(2, n, d, schedule, (t, s), first=6)
    assert np.allclose(drawn, expected, rtol=0, atol=8 * EPS * np.abs(fine).max())


@pytest.mark.parametrize(("t", "s"), [(3, 3), (2, 3), (31, 0), (3, -1), (0, 0), (3.0, 1)])
def test_a_coarse_step_must_descend_within_the_schedule(t, s):
    with pytest.raises(InputError):
        path_normals(0, 1, 1, NoiseSchedule.linear(30), (t, s))


DRAWS = 1_000 if config.DISABLE_JIT else 200_000
SEED = 20240607


def cells(z, count):
    """Index of the equally likely cell each normal falls into."""
    return np.minimum((stats.norm.cdf(z) * count).astype(int), count - 1)


def test_normals_follow_the_normal_distribution(plausible):
    z = standard_normals(SEED, DRAWS, 2, 17)
    for column in z.T:
        plausible(stats.kstest(column, "norm").pvalue, what="Kolmogorov-Smirnov")
        plausible(stats.chisquare(np.bincount(cells(column, 50), minlength=50)).pvalue)


def test_tails_hold_their_share_on_both_sides(plausible):
    z = standard_normals(SEED, DRAWS, 2, 18).ravel()
    level = 2.0 if config.DISABLE_JIT else 4.0
    for count in ((z > level).sum(), (z < -level).sum()):
        plausible(stats.binomtest(int(count), z.size, stats.norm.sf(level)).pvalue, what="tail")


def test_mean_and_variance_are_zero_and_one(plausible):
    z = standard_normals(SEED, DRAWS, 3, 19).ravel()
    plausible(2 * stats.norm.sf(abs(z.sum()) / np.sqrt(z.size)), what="mean")
    square = stats.chi2(z.size)
    plausible(2 * min(square.cdf(np.square(z).sum()), square.sf(np.square(z).sum())), what="var")


STREAMS = list(Stream)[:2]
NEIGHBOURS = {
    "coordinates of a block": lambda: standard_normals(SEED, DRAWS, 2, 3).T,
    "blocks": lambda: standard_normals(SEED, DRAWS, 4, 3).T[1:3],
    "samples": lambda: standard_normals(SEED, 2 * DRAWS, 1, 3).reshape(DRAWS, 2).T,
    "times": lambda: [standard_normals(SEED, DRAWS, 1, t)[:, 0] for t in (3, 4)],
    "streams": lambda: [
        standard_normals(SEED, DRAWS, 1, 3, stream=s)[:, 0] for s in list(Stream)[:2]
    ],
    "seeds": lambda: [standard_normals(SEED + k, DRAWS, 1, 3)[:, 0] for k in (0, 1)],
}


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_neighbours_are_independent(kind, plausible):
    a, b = NEIGHBOURS[kind]()
    correlation = (a * b).sum() / np.sqrt(DRAWS)  # variance one, normal for large N
    plausible(2 * stats.norm.sf(abs(correlation)), what="correlation")
    k = 4 if config.DISABLE_JIT else 16
    table = np.bincount(cells(a, k) * k + cells(b, k), minlength=k * k)
    plausible(stats.chisquare(table).pvalue, what="joint cells")
