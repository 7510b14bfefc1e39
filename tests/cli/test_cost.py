"""`mmattn cost` against counts by hand."""

import re
from functools import partial

import pytest
from mmseg.registry import MODELS
from torch import nn

from mmattn import attention
from mmattn.cli import cost, main
from mmattn.cli.mechanism import parse_mechanism
from mmattn.cost import measure_cost

CONFIG = 'configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(cost, '_SECONDS', 0.1)


def lines(capsys, *arguments: str) -> dict[str, list[str]]:
    """The cells that a command prints, by subject."""
    main(['cost', *arguments])
    rows = [re.split(r' {2,}', line.strip()) for line in capsys.readouterr().out.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_mechanism_costs_what_its_formula_says(capsys):
    cells = lines(capsys, 'SE', 'SE(reduction=4)', '--shape', '64x8x8')
    # Two products of C x C / reduction, without biases, at one pooled pixel.
    assert cells['SE'][:2] == ['512', '512']
    assert cells['SE(reduction=4)'][:2] == ['2.0 k', '2.0 k']
    assert cells['SE'][3].endswith(' ms')
    assert re.fullmatch(r'\d+\.\d\d of that', cells['SE(reduction=4)'][3])


C, H, W = 32, 12, 20
N = H * W


@pytest.mark.parametrize(
    ('name', 'options', 'macs'),
    [
        ('CBAM', dict(reduction=4), 4 * C**2 / 4 + 2 * 49 * N),
        ('CIAU', {}, 3 * C**2 * N),
        ('CIAU', dict(num_frames=2), (2 * 2 + 1) * C**2 * N),
        ('CSE', dict(reduction=2), 2 * C**2 / 2),
        ('ChannelAttention', {}, 2 * C**2 * N),
        ('DoubleAttention', dict(channels=8), 2 * 8**2 * N + 4 * C * 8 * N),
        ('GatherExcite', dict(extent=2, parametrisation='theta'), 9 * C * 6 * 10),
        ('GatherExcite', dict(extent=8, parametrisation='theta'), 9 * C * (60 + 3 * 5 + 2 * 3)),
        (
            'GatherExcite',
            dict(extent=4, parametrisation='theta_plus', reduction=8),
            9 * C * (60 + 3 * 5) + 2 * C**2 / 8 * 3 * 5,
        ),
        ('GatherExcite', dict(parametrisation='theta', size=(5, 6)), C * 5 * 6),
        ('MultiHeadSelfAttention', {}, 2 * N**2 * C + 4 * C**2 * N),
        ('PositionAttention', dict(channels=4), N**2 * (4 + C) + (2 * 4 + C) * C * N),
        ('SSE', {}, C * N),
    ],
)
def test_mechanisms_cost_what_their_docstrings_say(name, options, macs):
    """Where those leave out the projections, with them."""
    build = partial(getattr(attention, name), C, **options)
    assert measure_cost(build, [(2, C, H, W)]).macs == macs


class Catching(nn.Identity):
    def forward(self, x, *args):
        return x


class Named(nn.Identity):
    def forward(self, x, flag=False, **kwargs):
        return x


class KeywordOnly(nn.Identity):
    def forward(self, x, *, flag):
        return x


class Wrapping(nn.Identity):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


@pytest.mark.parametrize('module', [Catching, Named, KeywordOnly, Wrapping])
def test_a_forward_that_may_take_more_than_a_map_is_no_fusion(monkeypatch, module):
    monkeypatch.setitem(MODELS.module_dict, module.__name__, module)
    assert parse_mechanism(module.__name__).maps == 1


@pytest.mark.parametrize('name', ['AFF', 'AddFusion'])
def test_fusions_take_two_maps(capsys, name):
    assert name in lines(capsys, name, '--shape', '64x8x8')


def test_mechanisms_over_clips_have_a_cost_for_a_frame(capsys):
    cells = lines(capsys, 'SIAU(num_frames=3)', 'SIAU', '--shape', '64x8x8')
    assert cells['SIAU'][:2] == ['8.7 k', '56 k']
    assert cells['SIAU(num_frames=3)'][:2] == ['8.7 k', '57 k']


def test_a_config_over_clips_has_a_cost(capsys):
    config = 'configs/temporal/fcn-siau_r18-d8_1xb8-1200it_camvidclips-180x240.py'
    cells = lines(capsys, config, '--shape', '64x128')[config]
    assert cells[0] == '13 M' and cells[2].endswith(' MiB')


def test_a_config_costs_what_a_run_of_it_says(capsys):
    cells = lines(capsys, CONFIG, '--shape', '64x128')[CONFIG]
    assert cells[0] == '13 M'
    assert cells[1] == '1.7 G'  # a quarter of the 7.0 of 128x256
    assert cells[2].endswith(' MiB')


def test_losses_in_bands_have_a_cost(capsys):
    # The loss of this size is computed in bands, and memory is counted without values.
    assert lines(capsys, CONFIG)[CONFIG][2].endswith(' MiB')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['CBAN'], 'CBAM'),
        (['AFNB'], 'APNB'),
        (['CBAM', '--shape', '64x64'], 'channels, height and width'),
        (['SE(8)'], 'expected one such as'),
        (['SE(rate=8)'], 'rate'),
        ([CONFIG, '--shape', '3x64x64'], 'height and width'),
        (['missing.py'], 'missing.py not found'),
        (['SE', '--import', 'no_such_module_of_mine'], 'PYTHONPATH'),
        (['SE', '--shape', '0x1'], 'no shape such as'),
    ],
)
def test_mistakes_are_told_in_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit:
        main(['cost', *arguments])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
