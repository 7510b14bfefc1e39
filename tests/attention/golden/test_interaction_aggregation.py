"""CIAU and SIAU give the numbers of the authors' block, together and alone."""

from torch import nn

from mmattn.attention import CIAU, SIAU
from tests.golden import Case, check, conv_norm, fold_biases, rename


def _state(case):
    """The block's parameters as those of a sequence of CIAU ('0.') and SIAU ('1.')."""
    state = rename(
        case.params,
        *conv_norm('W1.0', 'W1.1', '0.update'),
        *conv_norm('sa.conv.conv', 'sa.conv.bn', '1.part_project'),
        ('g', '1.reduce'),
        *conv_norm('SIAU.module_w.relation.0', 'SIAU.module_w.relation.1', '1.edge'),
        *conv_norm('SIAU.module_l.fsm.0', 'SIAU.module_l.fsm.1', '1.aggregate'),
        *conv_norm('W2.0', 'W2.1', '1.update'),
    )
    # The second half multiplies the global feature, which cancels in the softmax.
    state['1.edge.conv.weight'] = state['1.edge.conv.weight'].chunk(2, dim=1)[0]
    return fold_biases(state)


def _part(state, prefix):
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}


def test_channels_then_parts(golden_dir):
    case = Case(golden_dir, 'iau')
    block = nn.Sequential(CIAU(*case.args), SIAU(*case.args))

    def forward(x):
        return [block(x), block[1].part_maps(block[0](x))]

    check(case, block, _state(case), forward)


def test_channels_alone(golden_dir):
    case = Case(golden_dir, 'iau_channel')
    check(case, CIAU(*case.args), _part(_state(case), '0.'))


def test_parts_alone(golden_dir):
    case = Case(golden_dir, 'iau_spatial')
    module = SIAU(*case.args)
    check(case, module, _part(_state(case), '1.'), lambda x: [module(x), module.part_maps(x)])
