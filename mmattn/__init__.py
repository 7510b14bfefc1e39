"""mmattn: attention mechanisms for semantic segmentation on PyTorch and MMSegmentation.

Importing this package alone imports neither. Its parts are imported when they are named, as in
`mmattn.attention.CBAM(64)`; `mmattn.attention` and `mmattn.ops` need torch, the others, and
`mmattn.Segmentor`, MMSegmentation.
"""

from importlib import import_module

__version__ = '0.1.0'

_PARTS = (
    *('apis', 'attention', 'datasets', 'engine', 'evaluation', 'models'),
    *('ops', 'preflight', 'probes', 'studies', 'visualization'),
)


def __getattr__(name: str):
    if name in _PARTS:
        return import_module(f'mmattn.{name}')
    if name == 'Segmentor':
        return import_module('mmattn.apis').Segmentor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS, 'Segmentor'})
