"""The table of all mechanisms is complete, true and up to date."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmattn.cli.zoo_page import added_parameters, render_zoo
from mmattn.cost import measure_cost, relative_latencies
from mmattn.models.mechanisms import AUTHORS, MECHANISMS, TABLE
from mmattn.ops.extension import EXTENSION

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    'cpu' not in EXTENSION.devices,
    reason=f'the page tells the memory of the kernels: {EXTENSION.missing("cpu")}',
)
def test_docs_hold_what_the_command_writes():
    assert (REPO / 'docs' / 'zoo.md').read_text() == render_zoo(REPO), 'run python tools/zoo.py'


@pytest.fixture(scope='module')
def page(tmp_path_factory) -> str:
    """The text for a checkout without measured latencies."""
    return render_zoo(tmp_path_factory.mktemp('checkout'))


RESNET50 = 23_508_032  # parameters of the backbone


def cells(name: str, text: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f'| `{name}` |'))
    return [cell.strip() for cell in line.strip('|').split(' | ')]


def test_every_mechanism_that_would_double_resnet50_names_its_place():
    heavy = {name for name, row in MECHANISMS.items() if added_parameters(row) > RESNET50}
    assert {'GAM', 'ResidualAttention', 'FullyAttentional', 'InterlacedSparse'} <= heavy
    assert not [name for name in heavy if not MECHANISMS[name].place]


@pytest.mark.parametrize(
    ('name', 'place'),
    [
        ('GAM', 'the end of one stage (`after_stage`) or a head (every block: 498 M parameters)'),
        ('FullyAttentional', '`FLAHead` (every block: 219 M parameters)'),
        ('SE', 'any'),
        ('SKConv', '`conv2`, any'),
        ('AFF', '`fusion` of `AttnResNet`, `AFFFPN`'),
        ('AFNB', '`ANLHead`'),
    ],
)
def test_table_says_where_a_mechanism_stands(name, place, page):
    assert cells(name, page)[-2] == place


def test_table_says_whose_code_has_the_same_numbers(page):
    for name, row in TABLE.items():
        own = any(source.origin == AUTHORS for source in row.sources)
        assert ('*authors*' in cells(name, page)[-1]) == own
    assert cells('BAM', page)[-1] == (
        '*others* xmu-xiaoma666/External-Attention-pytorch; '
        "*authors* Jongchan/attention-module, as `fusion='product'`"
    )


def test_code_of_others_is_not_said_to_be_the_authors():
    others = {name for name, row in TABLE.items() if AUTHORS not in {s.origin for s in row.sources}}
    assert others == {
        'DoubleAttention',
        'GAM',
        'GatherExcite',
        'MultiHeadSelfAttention',
        'NonLocal',
        'PolarizedSelfAttention',
        'ResidualAttention',
        'SE',
        'SKConv',
        'SPA',
    }


def test_every_row_has_its_test():
    files = (REPO / 'tests' / 'attention' / 'golden').glob('test_*.py')
    text = '\n'.join(file.read_text() for file in files)
    halves = {'CSE': 'SCSE', 'SSE': 'SCSE'}
    missing = [name for name in TABLE if not re.search(rf'\b{halves.get(name, name)}\b', text)]
    assert not missing


def test_unmeasured_latencies_are_said_to_be_so(page):
    assert page.count('| not measured |') == len(TABLE)


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
    jobs = {'large': (large, x)}
    ratios, milliseconds, rounds = relative_latencies((small, x), jobs, seconds=0.5)
    assert rounds > 1
    assert milliseconds > 0
    assert ratios['large'] > 3  # fifty layers against one, on a machine with other work
