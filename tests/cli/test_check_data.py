"""`mixdyn check` on data: files, what it says of points, and of mixtures without an extent."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn import oracles
from mixdyn.cli import app, data_check
from mixdyn.cli.diagnosis import CheckRequest, diagnose
from mixdyn.cli.words import explain
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import FileError

SCHEDULE = NoiseSchedule.linear()


def _diagnose(mixture, **options):
    return diagnose(CheckRequest(mixture, SCHEDULE, n_trajectories=2, **options), lambda *_: None)


def _points(n=300, d=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.fixture(scope="module")
def digits():
    datasets = pytest.importorskip("sklearn.datasets").load_digits()
    return datasets.data / 16.0, datasets.target


@pytest.fixture(scope="module")
def checked(digits):
    points, labels = digits
    return _diagnose(GaussianMixture.from_data(points), labels=labels)


def test_the_digits_are_memorised_later_than_their_class_is_chosen(checked):
    points, labels = checked.clones
    assert (points.what, labels.what, labels.n_classes) == ("points", "labels", 10)
    assert points.rho < points.rho_gaussian < labels.rho
    assert points.raw < points.gaussian_raw < labels.raw
    assert points.rho == pytest.approx(37.1 / 256, rel=0.1)
    words = " ".join(explain(checked))
    for part in ("1,797 data points in 64 dimensions", "returns copies", "the label is chosen"):
        assert part in words


def test_the_digits_own_score_returns_digits(checked):
    copies = checked.data.copies
    assert copies.copies == copies.n == 64
    assert copies.different > 32
    assert checked.pairs == checked.stages == checked.spread == []
    assert "These are data" in checked.notes[-1]


def test_a_mixture_fitted_to_the_digits_is_told_by_mahalanobis_lengths(digits):
    pytest.importorskip("sklearn")
    found = _diagnose(GaussianMixture.fit(digits[0], 10), labels=np.arange(10) % 2)
    nearest = found.pairs[0]
    assert nearest.length_whitened > nearest.length_sigma
    assert nearest.born_raw is not None
    assert [c.what for c in found.clones] == ["modes", "labels"]
    assert "by the Mahalanobis length of both" in explain(found)[0]


def test_every_form_of_a_data_file_is_read(tmp_path):
    points, labels = _points(), np.arange(300) % 3
    forms = {
        "named": {"data": points, "labels": labels},
        "wide": {"data": points, "bandwidth": 0.5},
    }
    for name, arrays in forms.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    np.savez(tmp_path / "bare.npz", points)
    GaussianMixture.from_data(points, 0.5).save(tmp_path / "saved.npz")
    load = {path.stem: GaussianMixture.load(path) for path in tmp_path.glob("*.npz")}
    assert load["named"] == load["bare"] == GaussianMixture.from_data(points)
    assert load["wide"] == load["saved"] == GaussianMixture.from_data(points, 0.5)
    result = CliRunner().invoke(app, ["check", str(tmp_path / "named.npz"), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [c["what"] for c in found["clones"]] == ["points", "labels"]
    assert found["data"]["points"] == 300
    result = CliRunner().invoke(app, ["check", str(tmp_path / "bare.npz")])
    assert result.exit_code == 0
    assert "data point is chosen" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"data": _points(), "sigma": 0.1}, "['sigma'] beside data"),
        ({"means": _points(), "sigma": 0.1, "bandwidth": 0.2}, "bandwidth without data"),
        ({"data": _points(), "labels": np.zeros(3, int)}, "one integer for each of the 300"),
        ({"data": _points(), "labels": np.zeros(300)}, "of type float64"),
        ({"data": np.zeros(5)}, "data"),
        ({"data": _points(), "bandwidth": -1.0}, "bandwidth must be >= 0"),
        ({"data": np.full((4, 2), np.nan)}, "finite"),
        ({"labels": np.zeros(3, int)}, "missing keys ['means']"),
    ],
)
def test_a_bad_data_file_is_one_line(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    result = CliRunner().invoke(app, ["check", str(tmp_path / "bad.npz")])
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert "means must" not in result.stderr


def test_labels_are_no_part_of_a_mixture(tmp_path):
    arrays = {"means": [[0.0], [1.0]], "sigma": 0.1, "labels": np.array([3, 3])}
    np.savez(tmp_path / "modes.npz", **arrays)
    assert GaussianMixture.load(tmp_path / "modes.npz") == GaussianMixture([[0.0], [1.0]], 0.1)
    with pytest.raises(FileError):
        GaussianMixture.load(tmp_path / "absent.npz")


def test_neighbours_are_those_of_all_distances():
    points = _points(400, 5)
    points[7] = points[3] + 1e-9
    looked = np.arange(0, 400, 3)
    full = np.sqrt(np.square(points[:, None] - points).sum(axis=2))
    np.fill_diagonal(full, np.inf)
    found = data_check.nearest_lengths(points, looked)
    np.testing.assert_allclose(found, full.min(axis=1)[looked], rtol=1e-12)
    assert data_check.nearest_lengths(points[:1], looked[:1]).size == 0


def test_equal_points_are_counted_and_lie_at_one_place():
    points = np.concatenate([_points(40), _points(40)[:5], _points(40)[:5]])
    found = _diagnose(GaussianMixture.from_data(points))
    assert (found.data.points, found.data.places, found.data.most_repeated) == (50, 40, 3)
    assert "at 40 places, one of them taken 3 times" in explain(found)[0]
    assert found.clones[0].levels[0].probability == pytest.approx(1.0)


def test_many_kernels_are_data_without_copies():
    found = _diagnose(GaussianMixture.from_data(_points(2100, 3), 0.01))
    assert found.data.copies is None
    assert found.clones[0].what == "points"
    assert [row.sigma for row in found.spread][:1] == [0.01]


@pytest.mark.parametrize(
    "mixture",
    [
        GaussianMixture([[0.0, 1.0]], 0.1),
        GaussianMixture([[0.0, 1.0]], 0.0),
        GaussianMixture([[0.0, 1.0]], covariance=np.diag([0.0, 1.0])),
        GaussianMixture.from_data(np.zeros((3, 2))),
    ],
)
def test_one_place_is_diagnosed_without_clones(mixture):
    found = _diagnose(mixture)
    assert found.clones == found.pairs == []
    assert explain(found)


def test_modes_without_an_extent_in_some_directions_are_diagnosed():
    factors = np.zeros((3, 4, 1))
    factors[:, 0] = 0.1
    means = np.zeros((3, 4))
    means[:, 1] = [0.0, 1.0, 3.0]
    found = _diagnose(GaussianMixture(means, 0.0, factors=factors))
    nearest = found.pairs[0]
    assert (nearest.length_sigma, nearest.length_whitened) == (None, None)
    # Across the modes v is rho: l^2 = 4 rho.
    assert SCHEDULE.rho[nearest.born_raw] < 0.25 <= SCHEDULE.rho[nearest.born_raw + 1]
    assert "no extent along their line" in explain(found)[0]
    assert [row.sigma for row in found.spread[::3]] == [pytest.approx(0.1)]


def test_two_modes_are_chosen_where_the_closed_form_says():
    found = _diagnose(GaussianMixture([[0.0], [1.0]], 0.1), seed=3)
    (modes,) = found.clones
    k = 1.0 / (modes.rho + 0.01)
    assert float(oracles.two_mode_return(k)) == pytest.approx(0.75, abs=0.03)
    assert modes.rho_late < modes.rho < modes.rho_early


def test_one_point_is_one_in_words():
    same = GaussianMixture.from_data(np.ones((7, 2)), 0.0)
    assert "7 data points in 2 dimensions; they lie at 1 place, one" in explain(_diagnose(same))[0]
    alone = GaussianMixture.from_data([[1.0]], 0.0)
    assert explain(_diagnose(alone))[0] == "1 data point in 1 dimension."
