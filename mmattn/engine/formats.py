"""The kinds of files that a traced network is written as."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from mmattn.engine.runtimes import META

OPSET = 18  # of ONNX: the one that torch's translations are written in, of 2022
Adapt = Callable[[Path], None] | None  # what is done to an ONNX file behind its export


def _write_onnx(program: torch.export.ExportedProgram, file: Path, meta: str, adapt: Adapt) -> None:
    converted = torch.onnx.export(
        program,
        input_names=['image'],
        output_names=['logits'],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    converted.model.metadata_props[META] = meta
    converted.save(file, external_data=False)
    if adapt:
        adapt(file)


def _write_openvino(
    program: torch.export.ExportedProgram, file: Path, meta: str, adapt: Adapt
) -> None:
    import openvino

    onnx = file.with_suffix('.onnx')
    _write_onnx(program, onnx, meta, adapt)
    model = openvino.convert_model(onnx)
    model.set_rt_info(meta, META)
    # The weights as they are: those of --fp16 are in half precision already.
    openvino.save_model(model, file, compress_to_fp16=False)
    onnx.unlink()


def _write_pt2(program: torch.export.ExportedProgram, file: Path, meta: str, adapt: Adapt) -> None:
    torch.export.save(program, file, extra_files={META: meta})


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporter tells its developers."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        suffix: Of its name.
        packages: What writing it and running it need, and the extra that brings each.
        write: Writes a program, and what is known of it, to a file; the last argument is done to
            the ONNX file that there is on the way.
    """

    suffix: str
    packages: dict[str, str]
    write: Callable[[torch.export.ExportedProgram, Path, str, Adapt], None]


_ONNX = {'onnx': 'export', 'onnxscript': 'export'}
FORMATS = {
    'onnx': Format('.onnx', {**_ONNX, 'onnxruntime': 'export'}, _write_onnx),
    'openvino': Format('.xml', {**_ONNX, 'openvino': 'openvino'}, _write_openvino),
    'pt2': Format('.pt2', {}, _write_pt2),
}
