"""The hypotheses are about mechanisms and probes that exist, and every mechanism can be probed."""

import ast
from pathlib import Path

import pytest
import torch

from mmattn.cli.probe_notes import NOTES, SEE_BORDERS, SEE_CELLS, UNFORESEEN
from mmattn.cli.probe_runs import ALL_MECHANISMS, parse_subject
from mmattn.probes import PROBES, WIDTH, build_net
from mmattn.probes.scenes import CHANNELS, SIZE
from tests.test_packaging import imported_modules

REPO = Path(__file__).resolve().parents[2]


def test_there_are_seven_probes_or_more():
    assert len(PROBES) >= 7
    assert all(name == probe.name for name, probe in PROBES.items())


@pytest.mark.parametrize('probe', PROBES.values(), ids=list(PROBES))
def test_hypotheses_name_mechanisms_of_the_table_once(probe):
    names = [*probe.carry, *probe.fail]
    assert len(names) == len(set(names))
    assert set(names) <= set(ALL_MECHANISMS)
    assert 'none' in probe.fail and probe.carry and probe.hypothesis
    assert probe.expects(probe.carry[0]) is True and probe.expects('none') is False
    assert probe.expects('MeanGate') is None


def test_notes_are_about_hypotheses():
    for mechanism, probe in NOTES:
        assert PROBES[probe].expects(mechanism) is not None
    assert set(UNFORESEEN) <= set(PROBES)


@pytest.mark.parametrize('name', ALL_MECHANISMS)
def test_what_moves_with_the_map_is_as_the_findings_say(name):
    """The net pads circularly: whatever does not move with the map is the mechanism's."""
    subject = parse_subject(name)
    net = build_net(subject.make, subject.maps).double().eval()
    generator = torch.Generator().manual_seed(0)
    for key, parameter in net.mechanism.named_parameters():
        if not parameter.any() and 'bias' not in key:  # branches that start as zero
            parameter.data = torch.rand(parameter.shape, generator=generator).double()
    image = torch.randn(1, CHANNELS, SIZE, SIZE, generator=generator).double()
    with torch.no_grad():
        moved, still = net(image.roll((7, 11), (2, 3))), net(image).roll((7, 11), (2, 3))
    knows = name in (*SEE_BORDERS, *SEE_CELLS, 'MultiHeadSelfAttention(relative_position=12)')
    assert torch.allclose(moved, still, rtol=0, atol=1e-9) != knows


@pytest.mark.parametrize('name', ALL_MECHANISMS)
def test_every_mechanism_trains_in_the_net(name):
    subject = parse_subject(name)
    assert subject.name == name
    net = build_net(subject.make, subject.maps)
    output = net(torch.randn(2, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    assert output.shape == (2, 2, SIZE, SIZE)
    output.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_probes_import_torch_and_attention_alone():
    own = ('mmattn.attention', 'mmattn.probes', 'mmattn.rows')  # the last is Python's own alone
    for path in (REPO / 'mmattn' / 'probes').glob('*.py'):
        foreign = {
            module
            for module in imported_modules(path)
            if module.startswith('mm') and not module.startswith(own)
        }
        assert not foreign, f'{path.name} imports {sorted(foreign)}'
        assert ast.get_docstring(ast.parse(path.read_text())), path.name


def test_the_width_serves_mechanisms_with_groups():
    assert WIDTH % 16 == 0
