"""Numbers at the sizes that are used."""

import pytest
import torch

from mmattn.attention import ChannelAttention


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_channel_energies_of_a_large_map_do_not_overflow(dtype):
    """C = 64 and N = 128 * 256: sums of 32,768 squares are beyond fp16's 65,504."""
    torch.manual_seed(0)
    # Few channels resemble each other, so that the attention differs between correct and saturated.
    x = 2 * torch.randn(1, 64, 128, 256)
    assert (x.flatten(2) ** 2).sum(dim=2).max() > torch.finfo(torch.float16).max
    module = ChannelAttention(64)
    torch.nn.init.constant_(module.gamma.scale, 0.5)
    with torch.no_grad():
        expected = module(x.to(dtype).float())
        with torch.autocast('cpu', dtype=dtype):
            actual = module(x.to(dtype))
    assert actual.isfinite().all()
    error = (actual.float() - expected).abs().max() / expected.abs().max()
    assert error < 0.02
