"""BAM gives the numbers of the authors' code, and of the paper's sum in another's."""

from mmattn.attention import BAM
from tests.attention.golden.layouts import as_convolutions
from tests.golden import Case, check, conv_norm, fold_biases, rename


def test_bam_with_the_product_of_the_released_code(golden_dir):
    case = Case(golden_dir, 'bam')
    channel, spatial = 'channel_att.gate_c.gate_c', 'spatial_att.gate_s.gate_s'
    state = rename(
        case.params,
        *conv_norm(f'{channel}_fc_0', f'{channel}_bn_1', 'channel_branch.0'),
        (f'{channel}_fc_final', 'channel_branch.1'),
        *conv_norm(f'{spatial}_conv_reduce0', f'{spatial}_bn_reduce0', 'spatial_branch.0'),
        *conv_norm(f'{spatial}_conv_di_0', f'{spatial}_bn_di_0', 'spatial_branch.1'),
        *conv_norm(f'{spatial}_conv_di_1', f'{spatial}_bn_di_1', 'spatial_branch.2'),
        (f'{spatial}_conv_final', 'spatial_branch.3.conv'),
    )
    check(case, BAM(*case.args, fusion='product'), as_convolutions(fold_biases(state)))


def test_bam_with_the_sum_of_the_paper(golden_dir):
    case = Case(golden_dir, 'bam_sum')
    layers = 3
    state = rename(
        case.params,
        *(
            pair
            for i in range(layers)
            for pair in (
                *conv_norm(f'ca.ca.fc{i}', f'ca.ca.bn{i}', f'channel_branch.{i}'),
                *conv_norm(f'sa.sa.conv_{i}', f'sa.sa.bn_{i}', f'spatial_branch.{i + 1}'),
            )
        ),
        ('ca.ca.last_fc', f'channel_branch.{layers}'),
        *conv_norm('sa.sa.conv_reduce1', 'sa.sa.bn_reduce1', 'spatial_branch.0'),
        ('sa.sa.last_conv', f'spatial_branch.{layers + 1}.conv'),
    )
    module = BAM(
        *case.args,
        reduction=case.kwargs['reduction'],
        dilation=case.kwargs['dia_val'],
        channel_layers=layers,
        spatial_layers=layers,
    )
    check(case, module, as_convolutions(fold_biases(state)))
