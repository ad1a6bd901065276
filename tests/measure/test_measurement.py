"""A measurement is made once for a case and its arguments, in memory and on disk."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case, Profile
from verify.measure.measurement import Measurement, pack, unpack

CASE = Case("toy", GaussianMixture([[0.0], [1.0]], 0.1), NoiseSchedule.linear(T=10))
made: list[Any] = []


@dataclass(frozen=True)
class Part:
    counts: Array
    share: Proportion


@dataclass(frozen=True)
class Whole:
    names: tuple[str, ...]
    recipes: tuple[str | None, ...]
    radii: tuple[float, ...]
    n: int
    level: float
    title: str
    part: Part


@Measurement
def parts(case: Case, sizes: tuple[int, ...] = (2,)) -> list[Part]:
    made.append((case.seed, sizes))
    return [Part(np.full(n, case.seed + 0.5), Proportion(1, n)) for n in sizes]


@Measurement
def named(case: Case, model: Any) -> dict[str, Any]:
    made.append(model)
    return {"n": [1, 2], "labels": ["a", "b"], "mask": np.array([True, False])}


@pytest.fixture
def case(tmp_path):
    made.clear()
    return dataclasses.replace(CASE, workspace={}, folder=tmp_path / "measured")


def again(case, **changes):
    return dataclasses.replace(case, workspace={}, **changes)


def test_it_is_made_once_for_each_case_and_arguments(case):
    assert parts(case) is parts(case, (2,)) is parts(case, sizes=(2,))
    parts(case, (2, 3))
    other = GaussianMixture([[0.0], [2.0]], 0.1)
    parts(dataclasses.replace(case, mixture=other))  # shares the workspace
    assert made == [(0, (2,)), (0, (2, 3)), (0, (2,))]


def test_it_is_found_again_on_disk_under_the_same_case_alone(case):
    first = parts(case, (2, 3))
    found = parts(again(case), (2, 3))
    assert len(made) == 1
    for one, two in zip(first, found, strict=True):
        np.testing.assert_array_equal(one.counts, two.counts)
        assert one.share == two.share
    for changes in ({"seed": 1}, {"profile": Profile.FULL}, {"folder": None}):
        parts(again(case, **changes), (2, 3))
    assert len(made) == 4


def test_it_is_made_again_by_other_code_and_where_the_file_is_damaged(case):
    parts(case)
    (file,) = case.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-90])
    parts(again(case))
    parts(again(case, code=lambda path: "other code"))
    assert len(made) == 3


def test_a_model_is_known_by_its_name_and_arrays_keep_their_kinds(case):
    one, two = (dataclasses.make_dataclass("Model", ["name"])(name) for name in "ab")
    first = named(case, one)
    found = named(again(case), one)
    named(case, two)
    assert made == [one, two]
    assert {key: np.asarray(first[key]).tolist() for key in first} == {
        key: found[key].tolist() for key in found
    }


def test_a_folder_that_cannot_be_written_loses_no_value(case, tmp_path):
    (tmp_path / "file").touch()
    assert parts(again(case, folder=tmp_path / "file"))


def test_every_kind_of_field_survives_its_arrays():
    whole = Whole(
        names=("a", "b"),
        recipes=("reduced", None),
        radii=(0.5, 1.0),
        n=3,
        level=0.25,
        title="",
        part=Part(np.arange(3.0), Proportion(2, 3)),
    )
    arrays = dict(pack(whole))
    assert "part.share.trials" in arrays
    back = unpack(Whole, arrays)
    for name in ("names", "recipes", "radii", "n", "level", "title"):
        value, found = getattr(whole, name), getattr(back, name)
        assert (found, type(found)) == (value, type(value))
    assert back.part.share == whole.part.share
    np.testing.assert_array_equal(back.part.counts, whole.part.counts)
    with pytest.raises(KeyError):
        unpack(Whole, {name: a for name, a in arrays.items() if name != "part.counts"})
