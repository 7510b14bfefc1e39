"""The table of what exports for all sizes of images, docs/export_sizes.md."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmattn.apis.exporting import LOGITS
from mmattn.engine.formats import FORMATS, quiet
from mmattn.engine.network import Network, standard_program
from mmattn.engine.runtimes import open_exported
from mmattn.models.mechanisms import TABLE

SIZES_FILE = 'benchmarks/results/export_sizes.json'
TRACED, OTHERS = (128, 160), ((96, 200), (101, 131))
_CHANNELS = 16
_COMMON = dict(in_channels=_CHANNELS, channels=_CHANNELS, num_classes=4, norm_cfg=dict(type='BN'))
HEADS = {
    'DANetHead': dict(pam_channels=4),
    'CCNetHead': dict(),
    'ANLHead': dict(in_channels=(_CHANNELS,) * 2, in_index=(2, 3), project_channels=4),
    'GCNetHead': dict(),
    'OCRNetHead': dict(ocr_channels=4),
    'FLAHead': dict(in_channels=(_CHANNELS,) * 3, in_index=(1, 2, 3)),
}
_INTRODUCTION = """\
# What exports for all sizes of images

Written by `mmattn zoo`; do not edit.

`mmattn export --shape` works for all heads and all mechanisms. Whether `--dynamic` does is told
here: each was exported alone, behind one convolution, at {traced}, and its outputs in ONNX Runtime
at {others} were compared with those of PyTorch, to 1e-4 of the largest. *No*: it takes other steps
for maps of other sizes, and `--dynamic` is refused. OpenVINO's files are made of the ONNX, and pt2
of the same program.

"""


class Subject(nn.Module):
    """The least that `Network` takes: a convolution, and what is looked at.

    Args:
        module: A head, or a mechanism of one or two maps.
        maps: How many it takes; a list of four, for a head, as 0.
        regions: Whether a head also takes the logits of another.
    """

    def __init__(self, module: nn.Module, maps: int, regions: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _CHANNELS, 4, stride=4)
        self.module, self.maps, self.regions = module, maps, regions

    def encode_decode(self, image: Tensor, metas: list[dict]) -> Tensor:
        """(N, 3, H, W) to what the module makes of a quarter of H and W."""
        x = self.stem(image)
        if self.maps:
            return self.module(*[x] * self.maps)
        out = self.module([x, x, x, x], *[x[:, :4]] * self.regions)
        return out[0] if isinstance(out, tuple) else out


def subjects() -> list[str]:
    """Heads and mechanisms of the table."""
    return [*HEADS, *sorted(TABLE, key=str.lower)]


def build_subject(name: str) -> Subject:
    """A head or mechanism with its defaults and random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if name in HEADS:
            head = MODELS.build(dict(type=name, **_COMMON | dict(in_index=3) | HEADS[name]))
            subject = Subject(head, 0, regions=name == 'OCRNetHead')
        else:
            maps = 2 if TABLE[name].kind in ('fusion', 'part') else 1
            subject = Subject(TABLE[name].module(_CHANNELS), maps)
        for parameter in subject.parameters():  # gates that begin at 0 would hide the rest
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return subject.eval()


def takes_all_sizes(name: str, format: str = 'onnx') -> bool:
    """Whether a head or mechanism can be exported for all sizes.

    Raises:
        AssertionError: It is exported, and wrong at some size: which must not be.
    """
    generator = torch.Generator().manual_seed(0)
    network = Network(build_subject(name), preprocessing=False, dtype=torch.float32).eval()
    images = [torch.randn(1, 3, *size, generator=generator) for size in (TRACED, *OTHERS)]
    with quiet():
        try:
            program = standard_program(network, images[0], dynamic=True)
        except (ValueError, RuntimeError):
            program = standard_program(network, images[0], dynamic=False)
            _check(name, format, network, program, images[:1])
            return False
        _check(name, format, network, program, images)
    return True


def _check(
    name: str,
    format: str,
    network: Network,
    program: torch.export.ExportedProgram,
    images: list[Tensor],
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, f'model{FORMATS[format].suffix}')
        FORMATS[format].write(program, file, '{}', None)
        run = open_exported(file).run
        for image in images:
            with torch.no_grad():
                expected = network(image)
            error = (run(image) - expected).abs().max() / expected.abs().max()
            assert error <= LOGITS, f'{name} as {format} is wrong by {error:.1e} at {image.shape}'


def measure_sizes(root: Path) -> None:
    """Export everything for all sizes, some minutes, and write the file of it."""
    result = {name: takes_all_sizes(name) for name in subjects()}
    (root / SIZES_FILE).write_text(json.dumps(result, indent=2) + '\n')


def render_sizes(root: Path) -> str:
    """The text of docs/export_sizes.md.

    Args:
        root: The checkout, with its file of measurements.
    """
    result = json.loads((root / SIZES_FILE).read_text())
    introduction = _INTRODUCTION.format(
        traced=_words(TRACED), others=' and '.join(map(_words, OTHERS))
    )
    rows = [('head or mechanism', '`--dynamic`'), ('---', '---')]
    rows += [(f'`{name}`', 'yes' if takes else 'no') for name, takes in result.items()]
    return introduction + ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _words(size: tuple[int, int]) -> str:
    return 'x'.join(map(str, size))
