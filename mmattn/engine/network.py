"""The network of a segmentor alone, in operators that every runtime knows."""

from collections.abc import Callable

import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from mmattn.attention import InterlacedSparse
from mmattn.ops.library import composed_operator

_LARGEST = 2**15  # pixels that nobody goes beyond, in height or width


class Network(nn.Module):
    """From images to logits, what lies between mmseg's preparation and its post-processing.

    Args:
        segmentor: In evaluation mode.
        preprocessing: Take images (N, H, W, 3) as OpenCV reads them, uint8, and normalise them as
            the segmentor's data_preprocessor does; else (N, 3, H, W), normalised, float32.
        dtype: In which the segmentor's weights are.
    """

    def __init__(self, segmentor: EncoderDecoder, preprocessing: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.segmentor, self.preprocessing, self.dtype = segmentor, preprocessing, dtype

    def forward(self, image: Tensor) -> Tensor:
        """Images to logits (N, classes, H, W), float32, at the size of the images."""
        if self.preprocessing:
            image = self._normalised(image)
        metas = [dict(img_shape=image.shape[2:])]
        return self.segmentor.encode_decode(image.to(self.dtype), metas).float()

    def _normalised(self, image: Tensor) -> Tensor:
        settings = self.segmentor.data_preprocessor
        if settings._channel_conversion:
            image = image.flip(3)
        image = image.permute(0, 3, 1, 2).float()
        return (image - settings.mean) / settings.std if settings._enable_normalize else image


def standard_program(
    network: Network, image: Tensor, dynamic: bool
) -> torch.export.ExportedProgram:
    """Trace a network, in operators that neither this package nor a size has to be there for.

    Args:
        network: What `Network` made.
        image: An input of it.
        dynamic: Whether height and width may differ from those of ``image``.

    Raises:
        ValueError: They may not, since the network takes other steps for other sizes.
    """
    if dynamic and any(isinstance(module, InterlacedSparse) for module in network.modules()):
        # Its padding is a remainder, which the translation to ONNX gets wrong for other sizes.
        raise ValueError('InterlacedSparse pads each size otherwise')
    height = 1 if network.preprocessing else 2
    sizes = ({height: torch.export.Dim.DYNAMIC, height + 1: torch.export.Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(
            network, (image,), dynamic_shapes=sizes if dynamic else None, strict=False
        ).run_decompositions(_DECOMPOSITIONS)
    for bounds in _bounds(program) if dynamic else ():
        if bounds.upper < _LARGEST:
            raise ValueError(f'it takes other steps for images of more than {bounds.upper} pixels')
    return program


def smallest_size(program: torch.export.ExportedProgram) -> list[int]:
    """The height and width from which on a program for all sizes is right."""
    return [int(bounds.lower) for bounds in _bounds(program)]


def _bounds(program: torch.export.ExportedProgram) -> list:
    """The range of height and of width."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (node for node in program.graph.nodes if node.name == name)
    sizes = [size for size in node.meta['val'].shape if isinstance(size, torch.SymInt)]
    return [program.range_constraints[size.node.expr] for size in sizes]


def adaptive_avg_pool2d(x: Tensor, output_size: list[int]) -> Tensor:
    """`torch.nn.functional.adaptive_avg_pool2d` as two matrix products, for maps of any size.

    torch's own decomposition writes the windows down for the size that is traced.

    Args:
        x: Shape (..., H, W).
        output_size: h and w.

    Returns:
        Tensor of shape (..., h, w).
    """
    height, width = output_size
    if height == width == 1:
        return x.mean((-2, -1), keepdim=True)
    rows, columns = _windows(x, -2, height), _windows(x, -1, width)
    return torch.matmul(torch.matmul(rows, x), columns.transpose(0, 1))


def _windows(x: Tensor, dim: int, count: int) -> Tensor:
    """(count, size of x in dim): what each window takes of each element."""
    size = x.shape[dim]
    element = torch.arange(size, device=x.device)
    window = torch.arange(count, device=x.device)[:, None]
    first, behind = window * size // count, ((window + 1) * size + count - 1) // count
    inside = ((element >= first) & (element < behind)).to(x.dtype)
    return inside / (behind - first).to(x.dtype)


_DECOMPOSITIONS: dict[object, Callable] = {
    torch.ops.mmattn.criss_cross_attention.default: composed_operator,
    torch.ops.aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    torch.ops.aten._adaptive_avg_pool2d.default: adaptive_avg_pool2d,
}
