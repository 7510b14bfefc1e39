"""The network of a trained model as one file for other runtimes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmseg.models import SegDataPreProcessor
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

import mmattn
from mmattn.apis.models import image_pipeline, load_model, refuse_clips
from mmattn.apis.segmentor import Segmentor
from mmattn.engine.formats import FORMATS, quiet
from mmattn.engine.network import Network, smallest_size, standard_program
from mmattn.engine.runtimes import is_exported, require
from mmattn.errors import UserError, first_line, is_of_libraries
from mmattn.files import check_writable
from mmattn.preflight.exported import normalisation
from mmattn.preflight.model import input_channels

LOGITS = 1e-4  # of the largest logit
LABELS = {'float32': 0.999, 'float16': 0.99, 'bfloat16': 0.99, 'int8': 0.95}


class MismatchError(RuntimeError):
    """An exported file does not predict what the model does."""


@dataclass(frozen=True)
class Export:
    """What an export did; printed, a few lines for people.

    Attributes:
        out: The file that was written; OpenVINO's weights lie beside it, as `.bin`.
        meta: What it says of itself.
        checks: For each image of ``verify`` a line.
    """

    out: Path
    meta: dict[str, Any]
    checks: tuple[str, ...]

    def __str__(self) -> str:
        size = 'x'.join(map(str, self.meta['size'] or ('H', 'W')))
        channels = self.meta['in_channels']
        image = f'1x{channels}x{size}, normalised, float32'
        if self.meta['preprocessing'] == 'inside':
            order = ', blue green red' if channels == 3 else ''
            image = f'1x{size}x{channels}{order} as OpenCV reads, uint8'
        files = _files(self.out)
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        return '\n'.join(
            [
                *self.checks,
                f'input: image, {image}',
                f'output: logits, 1x{self.meta["out_channels"]}x{size}, float32',
                f'written: {" and ".join(map(str, files))} ({megabytes:.1f} MB, weights in '
                f'{self.meta["precision"]}); mmattn test CONFIG {self.out}',
            ]
        )


def export(
    config: str | Path,
    checkpoint: str | Path,
    *,
    format: str = 'onnx',
    out: str | Path | None = None,
    shape: tuple[int, int] | None = None,
    dynamic: bool = False,
    precision: str = 'float32',
    calibration: Sequence[str | Path] = (),
    with_preprocessing: bool = False,
    verify: Sequence[str | Path] = (),
    overwrite: bool = False,
    cfg_options: dict[str, Any] | None = None,
) -> Export:
    """Write the network of a model as one file, with its classes, for one image at a time.

    Args:
        config: config file.
        checkpoint: weights of that config's model.
        format: A key of `FORMATS`: onnx, openvino or pt2 (torch.export).
        out: file to write; default: beside the checkpoint, under its name.
        shape: height and width of the images; default: the windows of a config that tests in
            windows, else what its test pipeline resizes to, else what it crops in training.
        dynamic: Take images of all heights and widths; ``shape`` is the one that is traced.
        precision: of the weights and the arithmetic: float32, float16, bfloat16 (pt2 alone), or
            int8 (onnx and openvino), in which convolutions are quantised.
        calibration: for int8, images that tell the ranges of activations; some dozens of those
            that the model was trained on.
        with_preprocessing: Take images as OpenCV reads them, and normalise them in the file.
        verify: images whose predictions must be those of the model: logits to 1e-4 of the largest
            and 99.9 % of the labels, or in half precision 99 % of the labels, in int8 95 %.
        overwrite: Replace ``out`` if it exists.
        cfg_options: overrides, dotted key to value.

    Raises:
        UserError: Whatever can be known to be wrong with these.
        MismatchError: An image of ``verify`` is predicted otherwise; nothing is written then.
    """
    target = _target(checkpoint, format, out, overwrite)
    _check_precision(format, precision, calibration)
    if not hasattr(torch.export.Dim, 'DYNAMIC'):
        raise UserError(f'torch {torch.__version__} is too old to export: take 2.6 or newer')
    for package, extra in FORMATS[format].packages.items():
        require(package, extra)
    model = load_model(config, checkpoint, cfg_options=cfg_options)
    _check_model(model, with_preprocessing)
    size = tuple(shape or _usual_size(model.cfg))
    model.auxiliary_head = None
    dtype = torch.float32 if precision == 'int8' else getattr(torch, precision)
    network = Network(model.to(dtype), with_preprocessing, dtype).eval()
    image = _example(model, size, with_preprocessing)
    meta = _describe(model, Path(config).name, precision, with_preprocessing)
    meta['size'] = None if dynamic else list(size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix='.') as folder:
        file = Path(folder, target.name)
        with quiet():
            program = _program(network, image, dynamic)
            meta['smallest'] = smallest_size(program) if dynamic else None
            adapt = _quantiser(config, calibration, cfg_options) if calibration else None
            FORMATS[format].write(program, file, json.dumps(meta), adapt)
        checks = _verified(config, checkpoint, file, verify, precision, cfg_options)
        for written in (*file.parent.glob('*.bin'), file):  # what names the other comes last
            written.replace(target.with_name(written.name))
    return Export(target, meta, checks)


def _files(out: Path) -> list[Path]:
    """All that is written for an exported file: OpenVINO's weights lie beside it."""
    return [out, out.with_suffix('.bin')] if out.suffix == '.xml' else [out]


def _target(checkpoint: str | Path, format: str, out: str | Path | None, overwrite: bool) -> Path:
    if format not in FORMATS:
        raise UserError(f'unknown format {format!r}; known are {", ".join(FORMATS)}')
    suffix = FORMATS[format].suffix
    if is_exported(checkpoint):
        raise UserError(f'{checkpoint} is exported already: give the checkpoint it was made of')
    if out is None:
        local = Path(checkpoint).is_file()
        source = Path(checkpoint) if local else Path(Path(urlparse(str(checkpoint)).path).name)
        out = source.with_suffix(suffix)
    target = Path(out)
    if target.suffix != suffix:
        raise UserError(f'--out {target}: files of --format {format} end in {suffix}')
    check_writable(target.parent, 'the folder of the exported file', 'name another with --out')
    for file in _files(target):
        _check_free(file, Path(checkpoint), overwrite)
    return target


def _check_free(file: Path, checkpoint: Path, overwrite: bool) -> None:
    if not file.exists():
        return
    if checkpoint.exists() and file.samefile(checkpoint):
        raise UserError(f'{file} would replace the checkpoint: name another file with --out')
    if not overwrite:
        raise UserError(f'{file} exists: name another file with --out, or give --overwrite')


def _check_precision(format: str, precision: str, calibration: Sequence[str | Path]) -> None:
    if precision not in LABELS:
        raise UserError(f'precision is {precision!r}: choose of {", ".join(LABELS)}')
    if precision == 'bfloat16' and format != 'pt2':
        raise UserError(
            '--bf16 is for --format pt2: ONNX Runtime has no such arithmetic on the CPU, and '
            'OpenVINO takes --fp16'
        )
    if precision == 'int8' and format == 'pt2':
        raise UserError('--int8 is for --format onnx and openvino')
    if precision == 'int8':
        require('onnxruntime', 'export')  # which quantises for both
    if (precision == 'int8') != bool(calibration):
        raise UserError(
            f'precision is {precision} with {len(calibration)} images for calibration: int8 needs '
            'some, and nothing else takes any'
        )


def _check_model(model: nn.Module, with_preprocessing: bool) -> None:
    if not isinstance(model, EncoderDecoder):
        raise UserError(
            f'{type(model).__name__} cannot be exported: expected an EncoderDecoder, or a model '
            'that inherits from it'
        )
    refuse_clips(model, 'an exported file takes')
    if not with_preprocessing:
        return
    prepares = model.data_preprocessor
    if type(prepares) is not SegDataPreProcessor or prepares.test_cfg:
        raise UserError(
            '--with-preprocessing takes a SegDataPreProcessor without test_cfg, since a file '
            'normalises images and does not pad them; leave it out'
        )


def _usual_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the images that the config tests on, or of its crops."""
    test_cfg = cfg.model.get('test_cfg') or {}
    if test_cfg.get('mode') == 'slide':
        return test_cfg['crop_size']
    for step in image_pipeline(cfg):
        scale = step.get('scale')
        if step.get('type') == 'Resize' and isinstance(scale, tuple | list):
            return scale[::-1]
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get('crop_size')
    if size is None:
        raise UserError('the config does not say how large images are: give --shape HxW')
    return size


def _example(model: EncoderDecoder, size: tuple[int, int], with_preprocessing: bool) -> Tensor:
    channels = input_channels(model.cfg.model)
    if with_preprocessing:
        return torch.randint(0, 256, (1, *size, channels), dtype=torch.uint8)
    return torch.randn(1, channels, *size)


def _program(network: Network, image: Tensor, dynamic: bool) -> torch.export.ExportedProgram:
    size = 'x'.join(map(str, image.shape[1:3] if network.preprocessing else image.shape[2:]))
    try:
        with torch.no_grad():
            network(image)
    except Exception as error:
        if not is_of_libraries(error, skip=1):
            raise
        raise UserError(
            f'the model cannot take images of {size} (height x width): {first_line(error)}; give '
            'another --shape'
        ) from error
    try:
        return standard_program(network, image, dynamic)
    except (ValueError, RuntimeError) as error:
        if not dynamic:
            raise
        raise UserError(
            f'this model cannot be exported for all sizes ({first_line(error)}): leave --dynamic '
            'out, and give the size with --shape; docs/export_sizes.md tells which mechanisms can'
        ) from error


def _describe(model: EncoderDecoder, config: str, precision: str, inside: bool) -> dict[str, Any]:
    """What a file says of its model: names of classes, and what is done around the network."""
    head = model.decode_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    return {
        **model.dataset_meta,
        'config': config,
        'made_by': f'mmattn {mmattn.__version__}',
        'precision': precision,
        'preprocessing': 'inside' if inside else 'before',
        'normalisation': normalisation(model.cfg),
        'align_corners': model.align_corners,
        'in_channels': input_channels(model.cfg.model),
        'out_channels': model.out_channels,
        'threshold': getattr(head, 'threshold', None),
    }


def _verified(
    config: str | Path,
    checkpoint: str | Path,
    file: Path,
    images: Sequence[str | Path],
    precision: str,
    cfg_options: dict[str, Any] | None,
) -> tuple[str, ...]:
    """Hold the predictions of a file against those of the model; a line for each image."""
    if not images:
        return ()
    plain = dict(device='cpu', optimize=False, cfg_options=cfg_options)
    ours, theirs = Segmentor(config, checkpoint, **plain), Segmentor(config, file, **plain)
    lines = []
    for image in images:
        expected, found = (model(image, logits=True) for model in (ours, theirs))
        equal = float((expected.labels == found.labels).mean())
        error = (expected.logits - found.logits).abs().max() / expected.logits.abs().max()
        line = f'{image}: {equal:.2%} of the labels equal, logits differ by {error:.1e}'
        if equal < LABELS[precision] or (precision == 'float32' and not error <= LOGITS):
            raise MismatchError(
                f'{line} of the largest; {LABELS[precision]:.1%} and '
                f'{f"{LOGITS:.0e}" if precision == "float32" else "any"} were asked for. Nothing '
                'was written'
            )
        lines.append(f'verified: {line} of the largest')
    return tuple(lines)


def _quantiser(
    config: str | Path, images: Sequence[str | Path], cfg_options: dict[str, Any] | None
) -> Callable[[Path], None]:
    from mmattn.apis.quantizing import quantise  # needs packages of the extra

    return lambda file: quantise(file, config, images, cfg_options=cfg_options)
