"""The net sees what it should and no more; trainings repeat; committed cells can be had again."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mmattn.attention import SE
from mmattn.cli.probe_runs import run_cells
from mmattn.probes import PROBES, build_net, run_probe
from mmattn.probes.results import read_cells
from mmattn.probes.scenes import CHANNELS, SIZE

COMMITTED = Path(__file__).resolve().parents[2] / 'benchmarks/results/studies/probes.csv'


def none(in_channels: int) -> nn.Module:
    return nn.Identity()


def test_the_field_without_a_mechanism_is_nine_pixels():
    net = build_net(none).eval()
    image = torch.randn(1, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    image.requires_grad_()
    net(image)[0, :, 12, 12].sum().backward()
    seen = image.grad[0].abs().sum(dim=0).nonzero()
    assert seen.min(dim=0).values.tolist() == [8, 8]
    assert seen.max(dim=0).values.tolist() == [16, 16]


def test_the_net_does_not_know_where_it_is():
    net = build_net(none).eval()
    image = torch.randn(1, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    moved = net(image.roll((7, 11), dims=(2, 3)))
    torch.testing.assert_close(moved, net(image).roll((7, 11), dims=(2, 3)), atol=1e-5, rtol=1e-5)


def test_nets_of_one_seed_share_their_convolutions():
    first, second = build_net(none, seed=3).state_dict(), build_net(SE, seed=3).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    other = build_net(none, seed=4).state_dict()
    assert not torch.equal(first['first.0.weight'], other['first.0.weight'])


def test_the_same_seed_gives_the_same_accuracy():
    random_state = torch.get_rng_state()
    outcomes = [run_probe(PROBES['match'], SE, seed=seed, steps=3) for seed in (1, 1, 2)]
    assert outcomes[0][:3] == outcomes[1][:3]
    assert outcomes[0].accuracy != outcomes[2].accuracy
    assert outcomes[0].images == 512 and outcomes[0].pixels == 1024
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.study
@pytest.mark.parametrize('probe', PROBES.values(), ids=list(PROBES))
def test_without_a_mechanism_no_probe_is_solved(probe):
    assert run_probe(probe, none).accuracy <= 0.60


@pytest.mark.study
def test_committed_cells_can_be_had_again(tmp_path):
    """On another processor than theirs; attention between pixels is one that solves *match*."""
    names = ['NonLocal', 'SE', 'FullyAttentional']
    cells = run_cells(tmp_path / 'probes.csv', names, ['match'], seeds=[0], jobs=2)
    committed = {cell.key: cell.accuracy for cell in read_cells(COMMITTED)}
    assert cells[0].accuracy >= 0.98
    assert [cell.accuracy for cell in cells] == [committed[cell.key] for cell in cells]
