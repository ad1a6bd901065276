"""The networks are functions of (x, t) alone, whatever the batch around a row."""

import pytest
import torch

from mixdyn import NoiseSchedule
from mixdyn.learned import Architecture, Recipe
from mixdyn.learned.recipes import RECIPES, recipe
from mixdyn.support.errors import InputError

KINDS = ("mlp", "fourier")


def build(kind, d=3):
    torch.manual_seed(0)
    network = Architecture(kind, d, hidden=24, blocks=2, embedding=8).build(
        NoiseSchedule.linear(50)
    )
    for parameter in network.parameters():  # also those that start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return network.double()


@pytest.mark.parametrize("kind", KINDS)
def test_one_time_for_all_rows_is_the_same_time_in_every_row(kind):
    network, x = build(kind), torch.randn(7, 3, dtype=torch.float64)
    together = network(x, torch.tensor([17]))
    each = network(x, torch.full((7,), 17))
    assert torch.equal(together, each) or (together - each).abs().max() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_one_another(kind):
    network, x, t = build(kind), torch.randn(5, 3, dtype=torch.float64), torch.arange(1, 6)
    alone = torch.cat([network(x[i : i + 1], t[i : i + 1]) for i in range(5)])
    assert (network(x, t) - alone).abs().max() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_the_prediction_depends_on_the_time_and_on_every_coordinate(kind):
    network = build(kind)
    x = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    assert (network(x, torch.tensor([1])) - network(x, torch.tensor([2]))).abs().max() > 1e-6
    (gradient,) = torch.autograd.grad(network(x, torch.tensor([5])).sum(), x)
    assert (gradient.abs() > 1e-9).all()


def test_neighbouring_times_are_told_apart_over_the_whole_schedule():
    for kind in KINDS:
        table = Architecture(kind, 2).build(NoiseSchedule.linear()).time_table
        assert (table[2:] - table[1:-1]).norm(dim=1).min() > 1e-3


def test_the_standard_network_has_the_papers_shape():
    """Three blocks of width 64 and a sinusoidal embedding of 64: 34,114 numbers, 136 kB."""
    network = RECIPES["paper"].architecture(2).build(NoiseSchedule.linear())
    assert sum(p.numel() for p in network.parameters()) == 34_114
    assert len(network.blocks) == 3
    assert network.time_table.shape == (1001, 64)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "unet"}, {"hidden": 0}, {"embedding": 7}, {"blocks": 1.5}, {"d": -1}],
    ids=lambda w: next(iter(w)),
)
def test_an_impossible_shape_is_refused(wrong):
    with pytest.raises(InputError):
        Architecture(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"lr_start": 0.0}, {"lr_end": float("nan")}, {"points": 0}]
)
def test_an_impossible_recipe_is_refused(wrong):
    with pytest.raises(InputError):
        Recipe(**({"name": "x", "steps": 1, "batch": 1, "lr_start": 1.0, "lr_end": 1.0} | wrong))


def test_a_changed_recipe_does_not_keep_the_name():
    assert recipe("reduced") is RECIPES["reduced"]
    assert recipe("reduced", steps=None) is RECIPES["reduced"]
    assert recipe("reduced", steps=10).name != "reduced"
    with pytest.raises(InputError, match="recipe must be one of"):
        recipe("fast")


def test_the_learning_rate_falls_linearly_to_its_end():
    paper = RECIPES["paper"]
    assert paper.learning_rate(0) == 1e-4
    assert paper.learning_rate(paper.steps - 1) == pytest.approx(1e-5, rel=1e-12)
    middle = paper.learning_rate((paper.steps - 1) // 2)
    assert middle == pytest.approx(5.5e-5, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [1, 24])
def test_the_shapes_of_an_architecture_are_those_of_its_network(kind, hidden):
    network = Architecture(kind, 3, hidden, 2, 8).build(NoiseSchedule.linear(50))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert network.architecture.shapes() == shapes


def test_a_network_of_eps_is_not_built_for_a_path_that_ends_without_signal():
    with pytest.raises(InputError, match="needs signal at every time; received alpha = 0"):
        Architecture("fourier", 2).build(NoiseSchedule.flow_matching(50))
