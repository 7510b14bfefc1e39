"""RGA on a map of its grid's size gives the numbers of the authors' module."""

import pytest

from mmattn.attention import RGA
from tests.golden import Case, check, conv_norm, rename


def _gate(part):
    return (
        *conv_norm(f'theta_{part}.0', f'theta_{part}.1', f'{part}.query_project'),
        *conv_norm(f'phi_{part}.0', f'phi_{part}.1', f'{part}.key_project'),
        *conv_norm(f'gx_{part}.0', f'gx_{part}.1', f'{part}.value_project'),
        (f'gg_{part}.0', f'{part}.relation_project'),
        (f'gg_{part}.1', f'{part}.relation_act.0'),
        *conv_norm(f'W_{part}.0', f'W_{part}.1', f'{part}.gate.0'),
        *conv_norm(f'W_{part}.3', f'W_{part}.4', f'{part}.gate.1'),
    )


@pytest.mark.parametrize(
    ('name', 'mode'), [('rga_s', 'spatial'), ('rga_c', 'channel'), ('rga_sc', 'both')]
)
def test_relation_aware_global_attention(golden_dir, name, mode):
    case = Case(golden_dir, name)
    module = RGA(
        case.args[0],
        grid=case.inputs[0].shape[2:],
        mode=mode,
        channel_reduction=case.kwargs['cha_ratio'],
        spatial_reduction=case.kwargs['spa_ratio'],
        gate_reduction=case.kwargs['down_ratio'],
    )
    check(case, module, rename(case.params, *_gate('spatial'), *_gate('channel')))
