"""Convolutions of an ONNX file in 8-bit integers, by ONNX Runtime's own static quantisation."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from mmattn.apis.segmentor import Segmentor


def quantise(file: Path, config: str | Path, images: Sequence[str | Path], **options: Any) -> None:
    """Replace an exported ONNX file by one whose convolutions are in 8-bit integers.

    The ranges of activations are the smallest and largest that the images give. Attention, which is
    products of activations and softmax, stays in float32.

    Args:
        file: What `mmattn.apis.export` wrote, in float32.
        config: Says how images are prepared, and cut into windows.
        images: For calibration, as the test data has them.
        **options: Of `Segmentor`.
    """
    segmentor = Segmentor(config, file, device='cpu', optimize=False, **options)
    (tensor,) = onnx.load(file).graph.input
    quant_pre_process(file, file, skip_symbolic_shape=True)
    quantize_static(
        file,
        file,
        _Reader({tensor.name: array} for array in _inputs(segmentor, images)),
        op_types_to_quantize=['Conv'],
        per_channel=True,
        # Weights of 7 bits: products of 8 overflow in the instructions of CPUs without VNNI.
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _inputs(segmentor: Segmentor, images: Sequence[str | Path]) -> Iterator[np.ndarray]:
    """What goes through the file for each image: windows one by one."""
    taken: list[np.ndarray] = []
    run = segmentor.model.run

    def take_and_run(image: Tensor) -> Tensor:
        taken.append(image.numpy())
        return run(image)

    segmentor.model.run = take_and_run
    for image in images:
        segmentor(image)
        yield from taken
        taken.clear()


class _Reader(CalibrationDataReader):
    """Hands ONNX Runtime one input after the other."""

    def __init__(self, inputs: Iterable[dict[str, np.ndarray]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or None behind the last."""
        return next(self._inputs, None)
