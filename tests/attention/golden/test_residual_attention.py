"""The attention stage gives the numbers of a re-implementation with the paper's skips."""

from mmattn.attention import ResidualAttention
from tests.golden import Case, check, rename

# Ours: the name there.
UNITS = {
    'pre': 'first_residual_blocks',
    'trunk.0': 'trunk_branches.0',
    'trunk.1': 'trunk_branches.1',
    'mask.0.down': 'softmax1_blocks',
    'mask.0.skip': 'skip1_connection_residual_block',
    'mask.0.up': 'softmax5_blocks',
    'mask.0.inner.down': 'softmax2_blocks',
    'mask.0.inner.skip': 'skip2_connection_residual_block',
    'mask.0.inner.up': 'softmax4_blocks',
    'mask.0.inner.inner.down': 'softmax3_blocks.0',
    'mask.0.inner.inner.up': 'softmax3_blocks.1',
    'post': 'last_blocks',
}


def test_attention_stage_with_three_poolings(golden_dir):
    case = Case(golden_dir, 'ra_pre')
    # The source has an unused shortcut convolution in each unit.
    params = {key: value for key, value in case.params.items() if '.conv4.' not in key}
    state = rename(
        params,
        *(
            pair
            for ours, theirs in UNITS.items()
            for i in range(3)
            for pair in (
                (f'{theirs}.bn{i + 1}', f'{ours}.{i}.bn'),
                (f'{theirs}.conv{i + 1}', f'{ours}.{i}.conv'),
            )
        ),
        ('softmax6_blocks.0', 'mask.1.bn'),
        ('softmax6_blocks.2', 'mask.1.conv'),
        ('softmax6_blocks.3', 'mask.2.bn'),
        ('softmax6_blocks.5', 'mask.2.conv'),
    )
    in_channels, _, *sizes = case.args
    check(case, ResidualAttention(in_channels, depth=len(sizes)), state)
