"""Training is a function of its recipe and seed, interrupted or not."""

import os
import signal

import pytest
import torch

from mixdyn.learned import Recipe, Trainer, train
from mixdyn.learned.training import check_device
from mixdyn.support.errors import ConvergenceError, FileError, InputError


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def test_training_lowers_the_excess(problem):
    recipe = Recipe("brief", 400, 256, 1e-2, 1e-4, points=2000, hidden=32, embedding=16)
    seen = []
    trainer = Trainer(*problem, recipe, seed=0)
    untrained = trainer.network(torch.zeros(1, 2), torch.tensor([1]))
    quality = train(trainer, progress=seen.append)
    assert quality.excess < 0.05
    assert quality.loss == pytest.approx(quality.irreducible + quality.excess, rel=0.05)
    assert [report.step for report in seen] == [400]
    assert not torch.equal(untrained, trainer.network(torch.zeros(1, 2), torch.tensor([1])))


def test_equal_seeds_give_equal_networks_and_others_do_not(problem, tiny):
    runs = [Trainer(*problem, tiny, seed) for seed in (1, 1, 2)]
    for run in runs:
        run.advance(20)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_building_a_trainer_leaves_the_global_generator_alone(problem, tiny):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    Trainer(*problem, tiny, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_resumed_run_ends_in_the_same_bits(problem, tiny, tmp_path):
    whole = Trainer(*problem, tiny, seed=4)
    whole.advance(60)
    first = Trainer(*problem, tiny, seed=4)
    first.advance(23)
    first.save_state(tmp_path / "half.safetensors")
    second = Trainer(*problem, tiny, seed=4)
    second.load_state(tmp_path / "half.safetensors")
    assert second.step == 23
    second.advance(1000)
    assert second.finished
    assert torch.equal(weights(whole), weights(second))
    assert second.take_training_loss() == whole.take_training_loss()


def test_an_interrupt_saves_a_whole_step_and_the_run_goes_on(problem, tiny, tmp_path):
    path = tmp_path / "run.partial.safetensors"
    interrupted = Trainer(*problem, tiny, seed=4)
    batch = interrupted.data.batch

    def batch_with_interrupt(size):
        if interrupted.step == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(size)

    interrupted.data.batch = batch_with_interrupt
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, partial=path)
    assert signal.getsignal(signal.SIGINT) is before
    assert interrupted.step == 18  # the step in which it came was finished
    resumed, whole = Trainer(*problem, tiny, seed=4), Trainer(*problem, tiny, seed=4)
    train(resumed, partial=path)
    train(whole)
    assert torch.equal(weights(resumed), weights(whole))
    assert not path.exists()


@pytest.mark.parametrize("change", ["seed", "recipe", "mixture"])
def test_a_run_is_not_resumed_as_another(problem, tiny, tmp_path, change):
    mixture, schedule = problem
    begun = Trainer(mixture, schedule, tiny, seed=4)
    begun.advance(2)
    begun.save_state(tmp_path / "half.safetensors")
    recipe = Recipe(**{**tiny.as_dict(), "batch": 65}) if change == "recipe" else tiny
    other = Trainer(
        mixture.diffused(0.9) if change == "mixture" else mixture,
        schedule,
        recipe,
        seed=5 if change == "seed" else 4,
    )
    with pytest.raises(FileError, match=change):
        other.load_state(tmp_path / "half.safetensors")


def test_an_unfinished_run_without_all_its_tensors_is_refused(problem, tiny, tmp_path):
    from mixdyn.learned.files import read_tensors, write_tensors

    begun = Trainer(*problem, tiny, seed=4)
    begun.advance(2)
    path = tmp_path / "half.safetensors"
    begun.save_state(path)
    tensors, about = read_tensors(path)
    write_tensors(path, {k: v for k, v in tensors.items() if "exp_avg_sq" not in k}, about)
    with pytest.raises(FileError, match="every tensor of its network and optimiser"):
        Trainer(*problem, tiny, seed=4).load_state(path)


def test_a_diverging_run_says_when(problem, tiny):
    # Infinite steps: the second loss is not finite.
    trainer = Trainer(*problem, Recipe(**{**tiny.as_dict(), "lr_start": 1e38, "lr_end": 1e38}), 0)
    with pytest.raises(ConvergenceError, match="before step 60"):
        train(trainer)


def test_a_device_is_cpu_or_a_gpu_that_is_there():
    with pytest.raises(InputError, match="'cpu' or 'cuda'"):
        check_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="needs a GPU"):
            check_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_and_a_cpu_give_the_same_loss_and_gradient(problem, tiny):
    """Same network, same batch: float32 sums in another order, so 1e-5 of the largest entry."""
    from mixdyn.learned.objective import loss

    cpu, gpu = Trainer(*problem, tiny, 0), Trainer(*problem, tiny, 0, device="cuda")
    x, t, eps = cpu.data.batch(512)
    values = [loss(cpu.network, x, t, eps), loss(gpu.network, x.cuda(), t.cuda(), eps.cuda())]
    for value in values:
        value.backward()
    assert float(values[1]) == pytest.approx(float(values[0]), rel=1e-5)
    for a, b in zip(cpu.network.parameters(), gpu.network.parameters(), strict=True):
        assert (a.grad - b.grad.cpu()).abs().max() <= 1e-5 * a.grad.abs().max() + 1e-7
    gpu.advance(60)
    assert gpu.take_training_loss() < 1.0
