"""Names and layouts of parameters that differ between the sources and our modules."""

from torch import Tensor

from tests.golden import conv_norm

FLA_BLOCK = (
    ('gamma', 'gamma.scale'),
    ('conv1', 'column_encoding'),
    ('conv2', 'row_encoding'),
    *conv_norm('conv.0', 'conv.1', 'conv'),
)


def as_convolutions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of linear layers as weights of 1x1 convolutions."""
    return {
        key: value[:, :, None, None] if key.endswith('weight') and value.dim() == 2 else value
        for key, value in state.items()
    }
