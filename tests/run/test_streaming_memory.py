"""A streamed run holds one block: its peak of memory does not know how many samples it runs."""

import tracemalloc

import pytest

from mixdyn import DDIM, NoiseSchedule, presets, sample
from mixdyn.run.observers import ClassCounts

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(20, 1e-3, 0.3)


def peak(n, keep):
    mixture = presets.grid()
    observers = [ClassCounts(mixture)]
    tracemalloc.start()
    try:
        run = sample(
            mixture, SCHEDULE, DDIM(2), n=n, rng=0, observers=observers, keep=keep, first=5
        )
        assert run.observations[0].sum() == n
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def compiled():
    peak(200, "none")


def test_five_times_the_samples_stream_in_the_same_memory():
    assert peak(1_000_000, "none") <= 1.01 * peak(200_000, "none") + 100_000


def test_keeping_the_samples_costs_their_own_size():
    kept = peak(1_000_000, "final") - peak(1_000_000, "none")
    assert kept == pytest.approx(1_000_000 * 2 * 8, rel=0.1)
