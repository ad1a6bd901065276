"""The kernels' own 2^z, log and sincos against 160-bit arithmetic, in ulps of the exact value, and
Philox4x32-10 against its published known answers."""

import mpmath
import numpy as np
import pytest
from numba import config, njit

from mixdyn import kernels
from mixdyn.kernels import EXP2_FLOOR
from mixdyn.kernels.arithmetic import exp2, exp2_of, log, sincos_turn

# Without the compiler a fused multiply-add rounds twice: half an ulp more here and there.
EXTRA_ULP = 0.5 if config.DISABLE_JIT else 0.0
N = 1_000 if config.DISABLE_JIT else 10_000


@njit(error_model="numpy")
def exp2_all(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = exp2(x[i])
    return out


@njit(error_model="numpy")
def exp2_by_fives(x):
    """x (n, 5)."""
    out = np.empty_like(x)
    for i in range(len(x)):
        (out[i, 0], out[i, 1]), (out[i, 2], out[i, 3], out[i, 4]) = exp2_of(
            (x[i, 0], x[i, 1]), (x[i, 2], x[i, 3], x[i, 4])
        )
    return out


@njit(error_model="numpy")
def log_all(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = log(x[i])
    return out


@njit(error_model="numpy")
def sincos_all(x):
    out = np.empty((2, len(x)))
    for i in range(len(x)):
        out[0, i], out[1, i] = sincos_turn(x[i])
    return out


def ulps(values, x, exact):
    """|value - exact(x)| in ulps of exact(x); a value must be 0 where exact(x) is."""
    worst = []
    with mpmath.workprec(160):
        for value, argument in zip(values, x, strict=True):
            truth = exact(mpmath.mpf(float(argument)))
            size = float(truth)
            gap = float(abs(mpmath.mpf(float(value)) - truth))
            worst.append(gap / np.spacing(abs(size)) if size else (np.inf if value else 0.0))
    return np.array(worst)


def power(z):
    return mpmath.mpf(2) ** z


def test_exp2_is_within_one_ulp_down_to_its_floor():
    rng = np.random.default_rng(0)
    small = -(10.0 ** rng.uniform(-20, 0, N // 2))
    whole = -np.arange(866.0)  # where the reduced argument is smallest ...
    halfway = whole - 0.5  # ... and where it is largest
    edges = [0.0, -5e-324, np.nextafter(EXP2_FLOOR, 0), EXP2_FLOOR]
    x = np.concatenate([-rng.uniform(0, 866, N), small, whole, halfway, edges])
    x = x[x >= EXP2_FLOOR]
    assert ulps(exp2_all(x), x, power).max() <= 1.0 + EXTRA_ULP


def test_exp2_is_within_one_ulp_up_to_its_stated_end_and_exact_at_whole_numbers():
    x = np.concatenate([np.random.default_rng(1).uniform(0, 1000, N), [1000.0]])
    assert ulps(exp2_all(x), x, power).max() <= 1.0 + EXTRA_ULP
    whole = np.arange(-800.0, 1000.0)
    assert (exp2_all(whole) == np.exp2(whole)).all()


def test_exp2_below_its_floor_is_that_of_the_floor_which_no_sum_from_one_up_can_feel():
    below = np.array([np.nextafter(EXP2_FLOOR, -np.inf), -1e3, -1e300, -np.inf])
    floor = exp2_all(np.array([EXP2_FLOOR]))[0]
    assert (exp2_all(below) == floor).all()
    assert floor == 2.0**-866
    # Ten million modes at the floor, each with a coordinate of the largest size allowed.
    assert 1.0 + 1e7 * floor * 1e75 == 1.0
    # A product with the smallest coordinate that matters beside 1e75 stays a normal double.
    assert floor * 1e75 * 2**-60 > np.finfo(float).tiny


def test_five_powers_at_a_time_are_each_power_alone_bit_for_bit():
    x = -(10.0 ** np.random.default_rng(2).uniform(-3, 4, (N // 5, 5)))
    assert exp2_by_fives(x).tobytes() == exp2_all(x.ravel()).reshape(x.shape).tobytes()


@pytest.mark.parametrize(
    "u",
    [
        np.random.default_rng(2).uniform(0, 1, N),
        2.0 ** -np.random.default_rng(3).uniform(0, 53, N),
        1 - 2.0 ** -np.random.default_rng(4).uniform(1, 53, N),
        # The ends of the range of uniforms, and the switch of the exponent at sqrt(1/2).
        np.array([2.0**-53, 1 - 2.0**-53, 0.5, 0.5**0.5, np.nextafter(0.5**0.5, 1), 1e-300, 1e300]),
    ],
    ids=["uniform", "towards 0", "towards 1", "edges"],
)
def test_log_is_within_two_ulp(u):
    assert ulps(log_all(u), u, mpmath.log).max() <= 2.0 + EXTRA_ULP


def test_log_of_one_is_exactly_zero():
    assert log_all(np.array([1.0]))[0] == 0.0


def test_sine_and_cosine_of_a_turn_are_within_two_ulp_and_exact_at_quarter_turns():
    rng = np.random.default_rng(5)
    eighths = np.arange(8) / 8
    near = (rng.integers(0, 8, N) / 8 + 2.0 ** -rng.uniform(3, 50, N)) % 1
    v = np.concatenate([rng.uniform(0, 1, N), near, eighths, [2.0**-53, 1 - 2.0**-53]])
    sine, cosine = sincos_all(v)
    assert ulps(sine, v, lambda x: mpmath.sinpi(2 * x)).max() <= 2.0 + EXTRA_ULP
    assert ulps(cosine, v, lambda x: mpmath.cospi(2 * x)).max() <= 2.0 + EXTRA_ULP


def test_sine_and_cosine_have_the_signs_of_their_quadrants():
    sine, cosine = sincos_all(np.array([0.125, 0.375, 0.625, 0.875]))
    assert np.sign(sine).tolist() == [1, 1, -1, -1]
    assert np.sign(cosine).tolist() == [1, -1, -1, 1]


# Random123, tests/kat_vectors, "philox4x32 10": counter, key, output.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint64)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    assert kernels.philox4x32(words(counter), words(key)).tolist() == words(answer).tolist()


def test_philox_reads_every_word_of_the_counter_and_the_key():
    counter, key = words(KNOWN_ANSWERS[2][0]), words(KNOWN_ANSWERS[2][1])
    outputs = {tuple(kernels.philox4x32(counter, key).tolist())}
    for bit in (0, 31):
        for word in range(4):
            other = counter.copy()
            other[word] ^= np.uint64(1 << bit)
            outputs.add(tuple(kernels.philox4x32(other, key).tolist()))
        for word in range(2):
            other = key.copy()
            other[word] ^= np.uint64(1 << bit)
            outputs.add(tuple(kernels.philox4x32(counter, other).tolist()))
    assert len(outputs) == 13
    assert all(0 <= word < 2**32 for output in outputs for word in output)
