"""What can compute a network of a segmentor in the place of its modules.

Each is for inputs of one shape. It is made from the segmentor, such inputs, and a text that names
all that it depends on but weights.
"""

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from mmattn.engine.formats import FORMATS, quiet
from mmattn.engine.inference import LeanInference
from mmattn.engine.network import Network, standard_program
from mmattn.engine.runtimes import Run, require, run_openvino
from mmattn.errors import UserError
from mmattn.files import cache_folder

KEPT = 5  # networks for OpenVINO, those that were used last


def folder() -> Path:
    """Where networks lie, and choices between candidates."""
    return cache_folder() / 'tuned'


def as_it_is(segmentor: LeanInference, inputs: Tensor, key: str) -> Run:
    """The modules themselves."""
    return segmentor.network


def compiled(segmentor: LeanInference, inputs: Tensor, key: str) -> Run:
    """By torch.compile, in each process anew, at the first call."""
    alone = _alone(segmentor)

    def network(inputs: Tensor) -> Tensor:  # of its own, since torch counts compilations of each
        return alone.network(inputs)

    return torch.compile(network, dynamic=False)


def with_openvino(segmentor: LeanInference, inputs: Tensor, key: str) -> Run:
    """By OpenVINO, from a file that is written once for these weights.

    It computes in bfloat16 where the segmentor does.

    Raises:
        UserError: A package is missing, or the inputs are not on the CPU.
    """
    if inputs.device.type != 'cpu':
        raise UserError('OpenVINO runs on the CPU here')
    for package, extra in FORMATS['openvino'].packages.items():
        require(package, extra)
    file = folder() / _digest_of_weights(segmentor, key) / 'network.xml'
    if file.is_file():
        with suppress(UserError):  # it is damaged
            run = _open(segmentor, file)
            with suppress(OSError):  # a cache that others may not write to
                os.utime(file)  # it was used
            return run
        _remove(file.parent)
    return written_for_openvino(segmentor, inputs.shape, file)


def written_for_openvino(segmentor: LeanInference, shape: torch.Size, file: Path) -> Run:
    """Write a network for inputs of one shape to a file (.xml), and run that."""
    _write(segmentor, shape, file)
    return _open(segmentor, file)


def _open(segmentor: LeanInference, file: Path) -> Run:
    precision = 'bf16' if segmentor.autocast_dtype == torch.bfloat16 else 'f32'
    return run_openvino(file, torch.device('cpu'), precision)[1]


CANDIDATES: dict[str, Callable[[LeanInference, Tensor, str], Run]] = {
    'optimized': as_it_is,
    'compiled': compiled,
    'openvino': with_openvino,
}


def _alone(segmentor: LeanInference) -> LeanInference:
    """The same modules, in which nothing stands in for them."""
    alone = copy.copy(segmentor)
    alone.stand_in = None
    return alone


def _write(segmentor: LeanInference, shape: torch.Size, file: Path) -> None:
    """Write the network as the two files of OpenVINO, in one step."""
    alone = _alone(segmentor)
    alone.autocast_dtype = None
    network = Network(alone, False, torch.float32).eval()
    parent = file.parent.parent
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix='.') as temporary, quiet():
        made = Path(temporary, 'made')
        made.mkdir()
        with torch.inference_mode(False):
            program = standard_program(network, torch.zeros(shape), False)
        FORMATS['openvino'].write(program, made / file.name, json.dumps({}), None)
        try:
            made.rename(file.parent)
        except OSError:
            if not file.is_file():  # else another process was faster
                raise
    with suppress(OSError):  # another process removes the same
        files = sorted(parent.glob(f'*/{file.name}'), key=os.path.getmtime)
        for old in files[:-KEPT]:
            _remove(old.parent)


def _remove(network: Path) -> None:
    """A folder, under another name first, so that nobody finds a part of it."""
    hidden = network.with_name(f'.{network.name.strip(".")}.{os.getpid()}')
    network.rename(hidden)
    shutil.rmtree(hidden)


def _digest_of_weights(module: nn.Module, key: str) -> str:
    """Of a text, and of all weights and buffers of a module."""
    digest = hashlib.sha256(key.encode())
    for name, value in module.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
