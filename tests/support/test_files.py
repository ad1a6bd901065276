"""Parameter files: malformed or damaged ones give one clear error, a failed save leaves nothing
behind, saving and loading is the identity on bits.
"""

import math
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixdyn import GaussianMixture, NoiseSchedule, presets
from mixdyn.support.errors import FileError, InputError
from mixdyn.support.files import write_atomically, write_parameters

# -- malformed files -------------------------------------------------------------------------------


GOOD = "means = [[0.0], [1.0]]\nsigma = 0.1\n"
BAD_MIXTURE = {
    "empty": ("", "missing keys"),
    "not TOML": ("means = [[0.0], [1.0]", "valid TOML"),
    "binary": (b"\xff\xfe\x00means", "valid TOML"),
    "endless brackets": ("means = " + "[" * 5000, "valid TOML"),
    "an integer of 5000 digits": ("sigma = " + "9" * 5000, "valid TOML"),
    "no means": ("sigma = 0.1\n", "missing keys"),
    "no sigma": ("means = [[0.0]]\n", "one of sigma, covariance"),
    "unknown key": (GOOD + "colour = 3\n", "unknown keys"),
    "misspelt weights": (GOOD + "weight = [1, 1]\n", "unknown keys"),
    "a table": (GOOD + "[weights]\na = 1\n", "real numbers"),
    "means of text": ('means = "0, 1"\nsigma = 0.1\n', "real numbers"),
    "a list of numbers for means": ("means = [0.0, 1.0]\nsigma = 0.1\n", "2 axes"),
    "ragged means": ("means = [[0.0], [1.0, 2.0]]\nsigma = 0.1\n", "rectangular"),
    "ragged sigma": ("means = [[0.0], [1.0]]\nsigma = [[1.0], [1.0, 2.0]]\n", "rectangular"),
    "covariances": (
        "means = [[0.0], [1.0]]\nsigma = [[[1.0]], [[1.0]]]\n",
        "array of standard deviations",
    ),
    "NaN": ("means = [[nan], [1.0]]\nsigma = 0.1\n", "must be finite"),
    "infinity": ("means = [[inf], [1.0]]\nsigma = 0.1\n", "must be finite"),
    "a boolean mean": ("means = [[0.0], [true]]\nsigma = 0.1\n", "real numbers"),
    "a boolean weight": (
        "means = [[0.0], [1.0]]\nsigma = 0.1\nweights = [0.5, true]\n",
        "real numbers",
    ),
    "a boolean sigma": ("means = [[0.0], [1.0]]\nsigma = true\n", "real numbers"),
    "a date": ("means = [[0.0], [1.0]]\nsigma = 2024-01-01\n", "real numbers"),
    "sigma negative": ("means = [[0.0], [1.0]]\nsigma = -1\n", "sigma must be 0, a point"),
    "negative weight": (GOOD + "weights = [-1, 2]\n", "weights must be > 0"),
    "duplicates": ("means = [[0.0], [0.0]]\nsigma = 0.1\n", "modes must differ"),
    "a text for a flag": (GOOD + 'allow_duplicates = "no"\n', "allow_duplicates"),
}
BAD_SCHEDULE = {
    "no kind": ("T = 10\n", "missing keys"),
    "unknown kind": ('kind = "circular"\n', "has kind linear, scaled_linear"),
    "kind no text": ("kind = 3\n", "has kind linear, scaled_linear"),
    "a list of kinds": ('kind = ["linear"]\n', "has kind linear, scaled_linear"),
    "a key of another kind": ('kind = "cosine"\nbeta_end = 0.1\n', "has kind linear, scaled"),
    "betas missing": ('kind = "beta"\nT = 3\n', "has kind linear, scaled_linear"),
    "T against betas": ('kind = "beta"\nT = 3\nbeta = [0.1]\n', "number of times in the table"),
    "T a float": ('kind = "linear"\nT = 1000.0\n', "T must be an integer"),
    "T astronomical": ('kind = "linear"\nT = 1000000000000\n', "T must not exceed"),
    "T an integer beyond 64 bits": ('kind = "cosine"\nT = 99999999999999999999\n', "T must not"),
    "beta of one": ('kind = "beta"\nbeta = [1.0, 0.5]\n', "strictly between 0 and 1"),
    "beta NaN": ('kind = "beta"\nbeta = [nan]\n', "must be finite"),
    "beta a scalar": ('kind = "beta"\nbeta = 0.5\n', "1 axis"),
    "beta_start huge": ('kind = "linear"\nbeta_start = 1' + "0" * 400 + "\n", "finite real"),
    "unknown key": ('kind = "linear"\ncolour = 0.1\n', "unknown keys"),
}
BAD_TOML = {GaussianMixture: BAD_MIXTURE, NoiseSchedule: BAD_SCHEDULE}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def assert_clear(error, path):
    assert isinstance(error, InputError)
    assert path.name in error.received
    assert "Traceback" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize(
    ("kind", "content", "rule"),
    [
        pytest.param(kind, *case, id=f"{kind.__name__}, {name}")
        for kind, bad in BAD_TOML.items()
        for name, case in bad.items()
    ],
)
def test_a_bad_file_is_refused(kind, content, rule, tmp_path):
    path = write(tmp_path / "bad.toml", content)
    with pytest.raises(FileError, match=rule) as caught:
        kind.load(path)
    assert_clear(caught.value, path)


# -- archives -----------------------------------------------------------------------------------


def npz(path, **values):
    with path.open("wb") as handle:
        np.savez(handle, **values)
    return path


class Bomb:
    """Unpickling this would leave a mark."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def truncated(path):
    npz(path, means=np.zeros((2, 1)), sigma=np.float64(1))
    return write(path, path.read_bytes()[:150])


def single_array(path):
    with path.open("wb") as handle:
        np.save(handle, np.zeros(3))
    return path


def foreign_member(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("means", "hello")
    return path


def damaged_deflate(path):
    with path.open("wb") as handle:
        np.savez_compressed(handle, means=np.arange(400.0)[:, None], sigma=1.0)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    return write(path, bytes(raw))


def huge_header(path):
    npz(path, means=np.zeros((2, 1)), sigma=1.0)
    return write(path, path.read_bytes().replace(b"(2, 1), }  ", b"(2, 1) * 9}"))


BAD_NPZ = {
    "empty": lambda path: write(path, b""),
    "text": lambda path: write(path, GOOD),
    "truncated": truncated,
    "a single array": single_array,
    "a member that is no array": foreign_member,
    "damaged compression": damaged_deflate,
    "a header that is no literal": huge_header,
    "a bare pickle": lambda path: write(path, pickle.dumps({"means": 1})),
    "complex means": lambda path: npz(path, means=np.ones((2, 1)) * 1j, sigma=1.0),
    "text means": lambda path: npz(path, means=np.array([["a"]]), sigma=1.0),
    "records": lambda path: npz(path, means=np.zeros(2, dtype=[("a", float)]), sigma=1.0),
    "an unknown array": lambda path: npz(path, means=np.ones((1, 1)), sigma=1.0, extra=1.0),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_a_bad_archive_is_refused(name, tmp_path):
    path = BAD_NPZ[name](tmp_path / "mixture.npz")
    with pytest.raises(FileError) as caught:
        GaussianMixture.load(path)
    assert_clear(caught.value, path)


def test_pickled_arrays_are_refused_and_never_run(tmp_path):
    mark = tmp_path / "mark"
    path = npz(tmp_path / "mixture.npz", means=np.array([Bomb(mark)], dtype=object), sigma=1.0)
    with pytest.raises(FileError, match="pickled objects are refused"):
        GaussianMixture.load(path)
    assert not mark.exists()


# -- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mixture.json", "mixture", "mixture.npy", ".toml"])
def test_other_file_formats_are_refused_on_both_ways(name, tmp_path):
    for action in (GaussianMixture.load, presets.grid().save):
        with pytest.raises(FileError, match=r"must end in \.toml or \.npz"):
            action(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".toml", ".npz"])
def test_a_missing_file_a_folder_and_an_impossible_name_are_refused(suffix, tmp_path):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    for path in (tmp_path / f"missing{suffix}", folder, tmp_path / f"nu\0ll{suffix}"):
        with pytest.raises(FileError):
            GaussianMixture.load(path)


@pytest.mark.parametrize("suffix", [".toml", ".npz"])
def test_saving_where_it_cannot_be_leaves_nothing_behind(suffix, tmp_path):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(FileError, match="must exist and be writable"):
        presets.grid().save(tmp_path / "missing" / f"mixture{suffix}")
    with pytest.raises(FileError, match="must be writable"):
        presets.grid().save(folder)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_save_that_fails_half_way_leaves_the_old_file_untouched(failure, tmp_path):
    path = write(tmp_path / "result.npz", b"old")

    def half(handle):
        handle.write(b"new, unfinished")
        raise failure("disc full")

    with pytest.raises(FileError if failure is OSError else failure):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.npz"]


def test_a_value_that_no_format_holds_leaves_nothing_behind(tmp_path):
    with pytest.raises(TypeError):
        write_parameters(tmp_path / "a.toml", {"means": object()})
    assert list(tmp_path.iterdir()) == []


def test_saved_files_follow_the_umask(tmp_path):
    presets.grid().save(tmp_path / "mixture.toml")
    plain = write(tmp_path / "plain.toml", "")
    assert stat.S_IMODE((tmp_path / "mixture.toml").stat().st_mode) == stat.S_IMODE(
        plain.stat().st_mode
    )


# -- what good files mean -----------------------------------------------------------------------


def test_integers_missing_weights_and_unnormalised_weights_are_accepted(tmp_path):
    path = write(tmp_path / "a.toml", "means = [[0], [1]]\nsigma = 1\nweights = [1, 3]\n")
    assert GaussianMixture.load(path) == GaussianMixture([[0.0], [1.0]], 1.0, [0.25, 0.75])
    assert GaussianMixture.load(write(path, GOOD)).weights.tolist() == [0.5, 0.5]


def test_schedule_files_fill_in_the_defaults_of_their_kind(tmp_path):
    path = tmp_path / "schedule.toml"
    assert NoiseSchedule.load(write(path, 'kind = "linear"\n')) == NoiseSchedule.linear()
    cosine = NoiseSchedule.load(write(path, 'kind = "cosine"\nT = 50\n'))
    assert cosine == NoiseSchedule.cosine(50)
    explicit = NoiseSchedule.load(write(path, 'kind = "beta"\nT = 2\nbeta = [0.1, 0.2]\n'))
    assert explicit == NoiseSchedule.from_betas([0.1, 0.2])


# -- saving and loading ----------------------------------------------------------------------------


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


@pytest.mark.compiled
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


@pytest.mark.compiled
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


@pytest.mark.compiled
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


@pytest.mark.compiled
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
