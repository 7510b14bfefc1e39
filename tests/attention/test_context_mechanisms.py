"""What is special to the mechanisms that relate pixels, parts or channels to each other."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmattn.attention import (
    AFF,
    AFNB,
    APNB,
    CIAU,
    IAFF,
    MSCAM,
    RGA,
    SIAU,
    ChannelAttention,
    DoubleAttention,
    InterlacedSparse,
    MultiHeadSelfAttention,
    NonLocal,
    ObjectAttention,
    ObjectContext,
)


def randomised(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval().requires_grad_(False)


@pytest.mark.parametrize('negate_energy', [True, False])
def test_channels_attend_by_the_energy_or_its_negative(negate_energy):
    """Written out pair by pair: the authors' softmax of (row maximum - energy), and equation 3."""
    module = ChannelAttention(4, negate_energy=negate_energy)
    nn.init.constant_(module.gamma.scale, 0.7)
    x = 0.5 * torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = x.clone()
    for image, out in zip(x, expected, strict=True):
        for i in range(4):
            energy = torch.stack([(image[i] * image[j]).sum() for j in range(4)])
            weights = (energy.max() - energy if negate_energy else energy).exp()
            weights = weights / weights.sum()
            out[i] += 0.7 * sum(weights[j] * image[j] for j in range(4))
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected, atol=1e-6, rtol=1e-5)


def test_double_attention_mixes_descriptors_with_weights_that_sum_to_one_at_each_pixel():
    module = randomised(DoubleAttention(8))
    # Features that are the same everywhere: every descriptor, so every mixture, is that vector.
    module.feature_project.weight.zero_()
    context = module(x := torch.randn(2, 8, 5, 6)) - x
    expected = module.out_project(module.feature_project(x))
    torch.testing.assert_close(context, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('size', [(3, 4), (9, 5)])
def test_positions_and_channels_relate_to_the_cells_of_the_grid(size):
    """The relations written out, on a map smaller and one larger than the grid in a side."""
    grid = (4, 4)
    module = randomised(RGA(8, grid, 'spatial', 2, 2, 2)).spatial
    x = torch.randn(2, 8, *size)
    query, key = module.query_project(x), module.key_project(x)
    cell_queries, cell_keys = (F.adaptive_avg_pool2d(t, grid) for t in (query, key))
    outgoing = torch.einsum('bchw,bcyx->byxhw', query, cell_keys).flatten(1, 2)
    incoming = torch.einsum('bchw,bcyx->byxhw', key, cell_queries).flatten(1, 2)
    relations = module.relation_project(torch.cat([outgoing, incoming], dim=1))
    value = module.value_project(x).mean(dim=1, keepdim=True)
    gate = module.gate(torch.cat([value, module.relation_act(relations)], dim=1)).sigmoid()
    torch.testing.assert_close(module(x, grid), gate, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('size', [(2, 3), (6, 5)])
def test_relative_positions_add_the_vectors_of_the_clipped_offsets_to_the_keys(size):
    heads, limit = 2, 2
    module = randomised(MultiHeadSelfAttention(8, heads, relative_position=limit))
    x = torch.randn(2, 8, *size)
    tokens = module.in_project(x.flatten(2).transpose(1, 2)).unflatten(2, (3, heads, -1))
    query, key, value = tokens.unbind(2)  # each (B, N, heads, 4)
    rows, columns = (t.flatten() for t in torch.meshgrid(*map(torch.arange, size), indexing='ij'))

    def vectors(table, places):
        return table[(places[None] - places[:, None]).clamp(-limit, limit) + limit]

    offsets = vectors(module.row_offsets, rows) + vectors(module.column_offsets, columns)
    scores = torch.einsum('bihd,bijhd->bhij', query, key[:, None] + offsets[None, :, :, None])
    attention = (scores / 2).softmax(dim=3)
    out = torch.einsum('bhij,bjhd->bihd', attention, value).flatten(2)
    expected = module.out_project(out).transpose(1, 2).unflatten(2, size)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-5)


def test_parts_have_the_other_parts_of_their_frame_and_themselves_elsewhere_as_neighbours():
    module = SIAU(8, num_parts=3, num_frames=2)
    neighbours = torch.tensor(
        [
            [0, 1, 1, 1, 0, 0],
            [1, 0, 1, 0, 1, 0],
            [1, 1, 0, 0, 0, 1],
            [1, 0, 0, 0, 1, 1],
            [0, 1, 0, 1, 0, 1],
            [0, 0, 1, 1, 1, 0],
        ]
    )
    assert torch.equal((~module.strangers).long(), neighbours)


@pytest.mark.parametrize('mechanism', [CIAU, SIAU])
def test_frames_interact_within_their_clip_only(mechanism):
    module = randomised(mechanism(8, num_frames=3))
    clips = torch.randn(2, 3, 8, 5, 6)
    together = module(clips.flatten(0, 1)).unflatten(0, (2, 3))
    alone = torch.stack([module(clip) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    clips[0, 2] += 1
    changed = module(clips.flatten(0, 1)).unflatten(0, (2, 3))
    assert (changed[0, 0] - together[0, 0]).abs().max() > 1e-4
    assert torch.equal(changed[1], together[1])


def test_channels_of_all_frames_attend_to_each_other():
    module = randomised(CIAU(4, num_frames=2))
    x = torch.randn(2, 4, 3, 5)
    channels = x.reshape(8, 15)
    context = (channels @ channels.T).softmax(dim=1) @ channels
    expected = x + module.update(context.reshape(x.shape))
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('mechanism', [CIAU, SIAU])
def test_a_batch_that_is_not_made_of_clips_is_named(mechanism):
    with pytest.raises(ValueError, match='batch of 3 images .* num_frames=2'):
        mechanism(8, num_frames=2)(torch.randn(3, 8, 4, 4))


def test_equal_weights_of_a_fusion_with_gain_two_are_the_sum():
    module = randomised(AFF(8, gain=2.0))
    for branch in (module.attention.local_branch, module.attention.global_branch):
        nn.init.zeros_(branch[1].bn.weight)
        nn.init.zeros_(branch[1].bn.bias)
    x, y = torch.randn(2, 2, 8, 4, 4)
    torch.testing.assert_close(module(x, y), x + y)


@pytest.mark.parametrize('mechanism', [AFF, IAFF])
def test_a_global_branch_may_be_a_vector_for_the_image(mechanism):
    module = randomised(mechanism(8))
    local, image = torch.randn(2, 8, 5, 6), torch.randn(2, 8, 1, 1)
    torch.testing.assert_close(module(local, image), module(local, image.expand_as(local)))
    torch.testing.assert_close(module(image, local), module(image.expand_as(local), local))


@pytest.mark.parametrize(
    ('make', 'level'),
    [
        (lambda: NonLocal(64, mode='gaussian'), 40),
        (lambda: NonLocal(64, mode='dot_product'), 3),
        (lambda: NonLocal(64, mode='concatenation'), 40),
        (lambda: CIAU(64), 40),
        (lambda: SIAU(64), 40),
    ],
)
def test_sums_over_a_large_map_do_not_overflow_fp16(make, level):
    """Sums over 64 channels or 48 x 64 pixels leave the range of fp16, the outputs do not."""
    module = randomised(make())
    x = level + torch.randn(1, 64, 48, 64)
    expected = module(x)
    with torch.autocast('cpu', dtype=torch.float16):
        actual = module(x)
    assert actual.isfinite().all()
    assert (actual.float() - expected).abs().max() / expected.abs().max() < 0.02


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (
            lambda: AFNB(8, 8, 4, 8, query_scales=()),
            r'query_scales must be one or more .* got \(\)',
        ),
        (lambda: AFNB(8, 8, 4, 8, value_channels=0), 'value_channels must be at least 1, got 0'),
        (lambda: APNB(8, query_scales=(0,)), 'query_scale must be at least 1, got 0'),
        (lambda: APNB(8, key_pool_scales=(1, 0)), r'key_pool_scales .* got \(1, 0\)'),
        (lambda: APNB(8, channels=0), 'channels must be at least 1, got 0'),
        (lambda: ObjectAttention(8, 0), 'channels must be at least 1, got 0'),
        (lambda: ObjectAttention(8, 4, scale=0), 'scale must be at least 1, got 0'),
        (lambda: AFF(8, reduction=9), 'reduction must be .* in_channels=8, got 9'),
        (lambda: CIAU(8, num_frames=0), 'num_frames must be at least 1, got 0'),
        (lambda: DoubleAttention(8, channels=0), 'channels must be at least 1, got 0'),
        (
            lambda: DoubleAttention(8, distribution='c'),
            "one of .*'channels', 'positions'.* got 'c'",
        ),
        (lambda: IAFF(8, reduction=0), 'reduction must be .* in_channels=8, got 0'),
        (lambda: InterlacedSparse(8, channels=0), 'channels must be at least 1, got 0'),
        (lambda: InterlacedSparse(8, value_channels=0), 'value_channels must be at least 1, got 0'),
        (lambda: InterlacedSparse(8, down_factor=(8, 0)), r'down_factor .* got \(8, 0\)'),
        (lambda: MSCAM(2), 'reduction must be .* in_channels=2, got 4'),
        (lambda: MultiHeadSelfAttention(12, num_heads=8), 'in_channels=12, got 8; 4 does'),
        (lambda: MultiHeadSelfAttention(8, relative_position=0), 'at least 1, got 0'),
        (lambda: NonLocal(8, mode='dot'), "mode must be one of .*'dot_product'.* got 'dot'"),
        (lambda: NonLocal(8, reduction=9), 'reduction must be .* in_channels=8, got 9'),
        (lambda: NonLocal(8, mode='gaussian', use_scale=True), "needs mode='embedded_gaussian'"),
        (lambda: ObjectContext(8, channels=0), 'channels must be at least 1, got 0'),
        (lambda: ObjectContext(8, num_regions=0), 'num_regions must be at least 1, got 0'),
        (lambda: RGA(64, mode='cs'), "mode must be one of .*'both'.* got 'cs'"),
        (lambda: RGA(64, grid=(8, 0)), r'grid must be .* got \(8, 0\)'),
        (
            lambda: RGA(4, channel_reduction=8),
            'channel_reduction must be .* 4, .* got 8',
        ),
        (lambda: RGA(64, (2, 2), spatial_reduction=8), 'spatial_reduction must be .* 4, .* got 8'),
        (lambda: RGA(48, gate_reduction=8), 'gate_reduction must be between 1 and 7, .* got 8'),
        (lambda: SIAU(1), 'reduction must be .* in_channels=1, got 2'),
        (lambda: SIAU(8, num_parts=1), 'num_parts must be at least 2, got 1'),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
