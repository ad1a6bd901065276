"""Saving and loading is the identity on bits; a damaged file never gives anything but an error."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixdyn import GaussianMixture, NoiseSchedule
from mixdyn.support.errors import FileError

pytestmark = pytest.mark.compiled


def assert_loads_or_is_refused(path):
    try:
        outcome = GaussianMixture.load(path)
    except FileError as error:
        outcome = error
    if isinstance(outcome, FileError):
        assert str(path) in outcome.received
    else:
        assert np.isfinite(outcome.means).all()


# The folder is only ever overwritten: sharing it between examples is safe.
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
COORDINATE = st.floats(-1e75, 1e75)
SUFFIX = st.sampled_from([".toml", ".npz"])


@st.composite
def mixtures(draw):
    """Any valid mixture, awkward numbers included."""
    n_modes, d = draw(st.integers(1, 4)), draw(st.integers(1, 3))

    def matrix(element, *shape):
        size = math.prod(shape)
        flat = draw(st.lists(element, min_size=size, max_size=size))
        return np.reshape(flat, shape)

    sigma = matrix(st.floats(1e-75, 1e75), n_modes)
    sigma = sigma if draw(st.booleans()) else float(sigma[0])
    weights = matrix(st.floats(1e-100, 1e75), n_modes)
    means = matrix(COORDINATE, n_modes, d)
    return GaussianMixture(means, sigma, weights, allow_duplicates=True)


@shared_folder
@given(mixtures(), SUFFIX)
def test_a_mixture_survives_a_round_trip_bit_by_bit(tmp_path, mixture, suffix):
    path = tmp_path / f"mixture{suffix}"
    mixture.save(path)
    again = GaussianMixture.load(path)
    assert again.digest == mixture.digest
    for name in ("means", "sigmas", "weights"):
        assert getattr(again, name).tobytes() == getattr(mixture, name).tobytes()
    assert type(again.sigma) is type(mixture.sigma)


@shared_folder
@given(
    st.one_of(
        st.builds(
            NoiseSchedule.linear, st.integers(1, 50), st.floats(1e-300, 0.5), st.floats(1e-9, 0.99)
        ),
        st.builds(NoiseSchedule.cosine, st.integers(1, 50), st.floats(1e-5, 0.999)),
        st.builds(NoiseSchedule.from_betas, st.lists(st.floats(5e-324, 0.9), min_size=1)),
    ),
    SUFFIX,
)
def test_a_schedule_survives_a_round_trip_bit_by_bit(tmp_path, schedule, suffix):
    path = tmp_path / f"schedule{suffix}"
    schedule.save(path)
    again = NoiseSchedule.load(path)
    assert again.beta.tobytes() == schedule.beta.tobytes()
    assert repr(again) == repr(schedule)


@shared_folder
@given(st.data(), st.booleans())
def test_a_damaged_archive_loads_or_is_refused_but_never_crashes(tmp_path, data, compress):
    path = tmp_path / "mixture.npz"
    mixture = GaussianMixture([[0.1, 0.2], [0.3, 0.4]], 0.5)
    save = np.savez_compressed if compress else np.savez
    with path.open("wb") as handle:
        save(handle, means=mixture.means, sigma=mixture.sigma, weights=mixture.weights)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) // 2, 30]))]))
    assert_loads_or_is_refused(path)


@shared_folder
@given(st.data())
def test_a_damaged_text_file_loads_or_is_refused_but_never_crashes(tmp_path, data):
    path = tmp_path / "mixture.toml"
    GaussianMixture([[0.1, 0.2], [0.3, 0.4]], 0.5, [0.25, 0.75]).save(path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    assert_loads_or_is_refused(path)
