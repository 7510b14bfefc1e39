"""The runtimes of exported networks: ONNX Runtime, OpenVINO, and torch itself for torch.export."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmattn.errors import UserError, first_line

Run = Callable[[Tensor], Tensor]
META = 'mmattn'  # where files keep what is known of the model, as JSON


class Exported(NamedTuple):
    """An exported network.

    Attributes:
        meta: What `mmattn.apis.export` knew of the model.
        run: Its input to its logits, both as the file has them, on the CPU.
    """

    meta: dict[str, Any]
    run: Run


def open_exported(file: Path, device: torch.device | None = None) -> Exported:
    """Load an exported network.

    Args:
        file: With a suffix of `RUNTIMES`.
        device: Where it shall run; None leaves the choice to the runtime.

    Raises:
        UserError: No file, a damaged one or one of other makers; a package that is missing; a
            device that the runtime does not have.
    """
    if not file.is_file():
        raise UserError(f'exported model {file} does not exist')
    meta, run = RUNTIMES[file.suffix](file, device)
    try:
        return Exported(json.loads(meta), run)
    except (TypeError, ValueError) as error:
        raise UserError(
            f'{file} does not say what model it is of: expected a file that mmattn export wrote'
        ) from error


def require(package: str, extra: str) -> ModuleType:
    """Import a package that an extra of mmattn brings.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition('.')[0]:
            raise
        raise UserError(
            f'this needs {error.name}, which is not installed: pip install "mmattn[{extra}]"'
        ) from error


def _onnxruntime(file: Path, device: torch.device | None) -> tuple[str | None, Run]:
    ort = require('onnxruntime', 'export')
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    options.intra_op_num_threads = torch.get_num_threads()
    providers = ['CPUExecutionProvider']
    found = 'CUDAExecutionProvider' in ort.get_available_providers()
    if device is not None and device.type != 'cpu' and not (found and device.type == 'cuda'):
        raise UserError(
            f'{file} cannot run on {device}: this onnxruntime has '
            f'{", ".join(ort.get_available_providers())}; install onnxruntime-gpu for NVIDIA GPUs, '
            'or give --device cpu'
        )
    if found and (device is None or device.type == 'cuda'):
        index = device.index or 0 if device is not None else 0
        providers.insert(0, ('CUDAExecutionProvider', {'device_id': index}))
    with _damage_told(file):
        session = ort.InferenceSession(str(file), options, providers=providers)
    (name,) = (node.name for node in session.get_inputs())

    def run(image: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: image.numpy()})[0])

    return session.get_modelmeta().custom_metadata_map.get(META), run


def run_openvino(
    file: Path, device: torch.device | None, precision: str = 'f32'
) -> tuple[str | None, Run]:
    """What the file says of itself, and its input to its logits.

    Args:
        file: With its weights beside it, as `.bin`.
        device: None or the CPU.
        precision: Of the arithmetic: f32, or bf16. On some CPUs OpenVINO would take bf16 by itself.
    """
    openvino = require('openvino', 'openvino')
    if device is not None and device.type != 'cpu':
        raise UserError(f'{file} runs on the CPU here: give --device cpu')
    with _damage_told(file):
        core = openvino.Core()
        model = core.read_model(file)
        settings = {
            'INFERENCE_PRECISION_HINT': precision,
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
        }
        compiled = core.compile_model(model, 'CPU', settings)
    meta = model.get_rt_info(META).astype(str) if model.has_rt_info(META) else None

    def run(image: Tensor) -> Tensor:
        return torch.from_numpy(compiled(image.numpy())[0].copy())

    return meta, run


def _torch(file: Path, device: torch.device | None) -> tuple[str | None, Run]:
    kept = {META: ''}
    with _damage_told(file):
        program = torch.export.load(file, extra_files=kept)
    if device is not None and device.type != 'cpu':
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, str(device))
    module = program.module()

    def run(image: Tensor) -> Tensor:
        return module(image if device is None else image.to(device)).cpu()

    return kept[META], run


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each runtime has errors of its own
        raise UserError(f'exported model {file} cannot be read: {first_line(error)}') from error


# By the suffix of the file.
RUNTIMES = {'.onnx': _onnxruntime, '.xml': run_openvino, '.pt2': _torch}


def is_exported(checkpoint: str | Path) -> bool:
    """Whether a file is an exported network, by its name."""
    return Path(checkpoint).suffix in RUNTIMES
