"""Streamed statistics equal those of the stored trajectory; a streamed run holds one block."""

import tracemalloc

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    GaussianMixture,
    NoiseSchedule,
    TimeGrid,
    as_model,
    classify,
    presets,
    sample,
)
from mixdyn.run import sampling
from mixdyn.run.observers import (
    ClassCounts,
    FinalHistogram,
    SegmentDistance,
    WindowVariance,
)
from mixdyn.support.errors import InputError

SCHEDULE = NoiseSchedule.linear(12, 0.01, 0.3)
MIXTURE = GaussianMixture([[0.0, 0.0], [1.0, 0.5], [0.3, -1.0]], [0.1, 0.2, 0.1], [0.2, 0.3, 0.5])
SAMPLER = DDIM(spacing=TimeGrid([12, 8, 5, 4, 2, 1, 0]), eta=0.5)
N = 150


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(sampling, "_BLOCK_DOUBLES", 1)  # 128 samples a block


def observe(observer, **options):
    run = sample(
        MIXTURE, SCHEDULE, SAMPLER, n=N, rng=3, observers=[observer], keep="trajectory", **options
    )
    return run, run.observations[0]


def static(run):
    """The trajectory in static coordinates, (S + 1, n, d)."""
    return run.trajectory / SCHEDULE.alpha[run.times][:, None, None]


def segment_distances(y):
    """Distance of each row to the segment of its two nearest means, from the definition."""
    out = []
    for point in y:
        a, b = MIXTURE.means[np.argsort(np.linalg.norm(MIXTURE.means - point, axis=1))[:2]]
        share = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        out.append(np.linalg.norm(point - a - share * (b - a)))
    return np.array(out)


def test_class_counts_are_those_of_the_final_states():
    narrow = GaussianMixture(MIXTURE.means, 0.03)  # fewer states count as true modes
    run, counts = observe(ClassCounts(narrow))
    assert counts.tolist() == np.bincount(classify(narrow, run.x), minlength=3).tolist()
    assert counts.sum() == N
    assert (counts > 0).all(), "a case without all classes shows nothing"


def test_segment_distances_are_those_of_the_stored_path():
    run, summary = observe(SegmentDistance(MIXTURE, SCHEDULE, bins=20, floor=1e-2, ceiling=1e1))
    truth = np.array([segment_distances(y) for y in static(run)])
    assert summary.n == N
    assert (summary.times == run.times).all()
    assert np.allclose(summary.mean, truth.mean(1), rtol=1e-12)
    assert np.allclose(summary.rms, np.sqrt((truth**2).mean(1)), rtol=1e-12)
    assert np.allclose(summary.max, truth.max(1), rtol=1e-12)
    for counts, row in zip(summary.counts, truth, strict=True):
        assert counts.tolist() == np.histogram(row, summary.edges)[0].tolist()
    median = np.sort(truth, axis=1)[:, int(np.ceil(0.5 * N)) - 1]
    k = np.searchsorted(summary.edges, summary.quantile(0.5))
    assert (median <= summary.edges[k]).all()
    assert (median >= summary.edges[k - 1]).all()


def test_distances_outside_the_axis_fall_into_its_end_bins():
    run, summary = observe(SegmentDistance(MIXTURE, SCHEDULE, bins=3, floor=0.05, ceiling=0.1))
    truth = np.array([segment_distances(y) for y in static(run)])
    assert summary.edges.tolist() == [0.0, 0.05, 0.1, np.inf]
    assert (summary.counts[:, 0] == (truth < 0.05).sum(1)).all()
    assert (summary.counts[:, 2] == (truth >= 0.1).sum(1)).all()
    assert (summary.counts[:, 2] > 0).any()
    whole = observe(SegmentDistance(MIXTURE, SCHEDULE, bins=1))[1]
    assert (whole.counts == N).all()


def test_window_variances_are_those_of_the_clean_predictions_on_the_path():
    for window in (2, 4, 6):
        run, variance = observe(WindowVariance(SCHEDULE, window))
        x0 = []
        for k in range(len(run.times) - 1 - window, len(run.times) - 1):
            t = int(run.times[k])
            alpha, nu = SCHEDULE.alpha[t], SCHEDULE.noise_var[t]
            marginal = MIXTURE.diffused(SCHEDULE.alpha_bar[t])
            x0.append((run.trajectory[k] + nu * marginal.score(run.trajectory[k])) / alpha)
        assert variance.shape == (N,)
        assert np.allclose(variance, np.var(x0, axis=0).mean(axis=1), rtol=1e-9, atol=1e-15)


def test_several_observers_share_a_run_and_keep_their_order():
    watchers = [WindowVariance(SCHEDULE, 3), ClassCounts(MIXTURE), WindowVariance(SCHEDULE, 2)]
    run = sample(MIXTURE, SCHEDULE, SAMPLER, n=N, rng=3, observers=watchers, keep="none")
    for watcher, seen in zip(watchers, run.observations, strict=True):
        assert np.allclose(seen, observe(watcher)[1], rtol=1e-13)


def test_a_final_histogram_counts_every_final_state_once_below_and_above_too():
    edges = np.array([-0.3, 0.0, 0.1, 0.4])
    run, counts = observe(FinalHistogram(edges, axis=1))
    x = run.x[:, 1]
    inner = np.histogram(x, edges)[0]
    assert counts.tolist() == [int((x < -0.3).sum()), *inner.tolist(), int((x >= 0.4).sum())]
    assert counts.sum() == N
    with pytest.raises(InputError, match="edges must increase"):
        FinalHistogram([0.0, 0.0])


def test_observers_work_on_any_model():
    model = as_model(lambda x, t: x / (1 + t))
    run = sample(
        model,
        SCHEDULE,
        DDPM(),
        x=np.ones((4, 2)),
        rng=0,
        observers=[WindowVariance(SCHEDULE, 5), ClassCounts(MIXTURE)],
    )
    assert run.observations[0].shape == (4,)
    assert run.observations[1].sum() == 4


@pytest.mark.parametrize(
    "observer",
    [
        ClassCounts(MIXTURE),
        SegmentDistance(MIXTURE, SCHEDULE),
        WindowVariance(SCHEDULE, 2),
        FinalHistogram([-1.0, 0.0, 1.0]),
    ],
    ids=lambda observer: type(observer).__name__,
)
def test_the_empty_state_is_neutral_and_merging_is_associative(observer):
    grid = SAMPLER.grid(SCHEDULE)

    def seen(seed):
        state = observer.init(grid, 2)
        x = np.random.default_rng(seed).normal(size=(5, 2))
        for t, s in grid.pairs:
            state = observer.step(state, slice(0, 5), t, s, x + 0.01 * t, x)
        return observer.step(state, slice(0, 5), 0, None, x, None)

    def flat(state):
        result = observer.result(state)
        return result.counts if hasattr(result, "counts") else result

    alone = flat(seen(0))
    assert np.array_equal(flat(observer.merge(observer.init(grid, 2), seen(0))), alone)
    assert np.array_equal(flat(observer.merge(seen(0), observer.init(grid, 2))), alone)
    left = observer.merge(observer.merge(seen(0), seen(1)), seen(2))
    right = observer.merge(seen(0), observer.merge(seen(1), seen(2)))
    assert np.array_equal(flat(left), flat(right))


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (lambda: WindowVariance(SCHEDULE, 1), "window must be an integer >= 2"),
        (lambda: WindowVariance(SCHEDULE, 2.0), "window must be an integer >= 2"),
        (lambda: observe(WindowVariance(SCHEDULE, 7)), "window must not exceed the 6 steps"),
        (lambda: SegmentDistance(MIXTURE, SCHEDULE, bins=0), "bins must be an integer >= 1"),
        (lambda: SegmentDistance(MIXTURE, SCHEDULE, floor=0.0), "floor must be > 0"),
        (lambda: SegmentDistance(MIXTURE, SCHEDULE, floor=2, ceiling=1), "ceiling must exceed"),
    ],
)
def test_bad_observers_are_refused(build, rule):
    with pytest.raises(InputError, match=rule):
        build()


TWENTY = NoiseSchedule.linear(20, 1e-3, 0.3)


def peak(n, keep):
    mixture = presets.grid()
    observers = [ClassCounts(mixture)]
    tracemalloc.start()
    try:
        run = sample(mixture, TWENTY, DDIM(2), n=n, rng=0, observers=observers, keep=keep, first=5)
        assert run.observations[0].sum() == n
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def compiled():
    peak(200, "none")


@pytest.mark.compiled
def test_five_times_the_samples_stream_in_the_same_memory():
    assert peak(1_000_000, "none") <= 1.01 * peak(200_000, "none") + 100_000


@pytest.mark.compiled
def test_keeping_the_samples_costs_their_own_size():
    kept = peak(1_000_000, "final") - peak(1_000_000, "none")
    assert kept == pytest.approx(1_000_000 * 2 * 8, rel=0.1)
