import torch

from mmattn.attention import SKConv
from mmattn.attention.layers import ConvNormAct
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, conv_norm, fold_biases, rename


def _state(case: Case, branches: int, *pairs: tuple[str, str]) -> dict[str, torch.Tensor]:
    """Our names, with the selection layers of all branches in one convolution."""
    state = as_convolutions(case.params)
    for kind in ('weight', 'bias'):
        state[f'select.{kind}'] = torch.cat([state.pop(f'fcs.{i}.{kind}') for i in range(branches)])
    return fold_biases(rename(state, ('select', 'select'), *pairs))


def test_selective_kernel_convolution(golden_dir):
    case = Case(golden_dir, 'sk')
    branches = case.kwargs['M']
    module = SKConv(
        *case.args,
        kernel_sizes=[3] * branches,
        dilations=range(1, branches + 1),
        groups=case.kwargs['G'],
        reduction=case.kwargs['r'],
        min_channels=case.kwargs['L'],
    )
    state = _state(
        case,
        branches,
        *(
            pair
            for i in range(branches)
            for pair in conv_norm(f'convs.{i}.0', f'convs.{i}.1', f'branches.{i}')
        ),
        *conv_norm('fc.0', 'fc.1', 'squeeze'),
    )
    check(case, module, state)


def test_branches_and_selection_of_kernels_of_several_sizes(golden_dir):
    case = Case(golden_dir, 'sk_ea')
    kernel_sizes = case.kwargs['kernels']
    module = SKConv(
        *case.args,
        kernel_sizes=kernel_sizes,
        dilations=[1] * len(kernel_sizes),
        groups=case.kwargs['group'],
        reduction=case.kwargs['reduction'],
        min_channels=case.kwargs['L'],
    )
    # This source squeezes without the norm and the activation of the paper.
    hidden_channels, in_channels = case.params['fc.weight'].shape
    assert module.squeeze.conv.out_channels == hidden_channels
    module.squeeze = ConvNormAct(in_channels, hidden_channels)
    branches = len(kernel_sizes)
    state = _state(case, branches, ('convs', 'branches'), ('fc', 'squeeze.conv'))
    check(case, module, state)
