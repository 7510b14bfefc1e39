"""The table of all mechanisms is complete, true and up to date."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmattn.apis.zoo_facts import FACTS
from mmattn.cli.zoo_page import render_zoo
from mmattn.cost import measure_cost, relative_latencies
from mmattn.models import MECHANISMS
from mmattn.ops.extension import EXTENSION

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    'cpu' not in EXTENSION.devices,
    reason=f'the page tells the memory of the kernels: {EXTENSION.missing("cpu")}',
)
def test_docs_hold_what_the_command_writes():
    assert (REPO / 'docs' / 'zoo.md').read_text() == render_zoo(REPO), 'run python tools/zoo.py'


def test_every_mechanism_has_a_row():
    assert set(FACTS) == {*MECHANISMS, 'AFNB'}


def test_every_row_that_claims_golden_parity_has_its_test():
    files = (REPO / 'tests' / 'attention' / 'golden').glob('test_*.py')
    text = '\n'.join(file.read_text() for file in files)
    halves = {'CSE': 'SCSE', 'SSE': 'SCSE'}
    missing = [name for name in FACTS if not re.search(rf'\b{halves.get(name, name)}\b', text)]
    assert not missing


def test_unmeasured_latencies_are_said_to_be_so(tmp_path):
    assert render_zoo(tmp_path).count('| not measured |') == len(FACTS)


class Squares(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x).square()


class Attention(nn.Module):
    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2).unsqueeze(1)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_cost_of_a_convolution_and_a_square():
    cost = measure_cost(Squares, [(2, 4, 5, 6)])
    assert cost.parameters == 8 * 4 * 9 + 8
    assert cost.macs == 8 * 4 * 9 * 5 * 6
    assert cost.memory == 4 * (4 + 8) * 5 * 6  # inputs of both operations; weights are not counted


def test_cost_of_fused_attention_counts_its_products():
    assert measure_cost(Attention, [(2, 8, 5, 6)]).macs == 2 * 8 * (5 * 6) ** 2


def test_latencies_are_ratios_to_the_reference():
    small, large = nn.Linear(64, 64), nn.Sequential(*[nn.Linear(64, 64) for _ in range(50)])
    x = [torch.randn(64, 64)]
    ratios, milliseconds, rounds = relative_latencies((small, x), {'large': (large, x)}, seconds=0)
    assert rounds == 1
    assert milliseconds > 0
    assert ratios['large'] == pytest.approx(50, rel=0.9)
