"""Which operators are compiled (`mmattn._ext`), and why not if they are not."""

from dataclasses import dataclass, field

import torch

BUILD = 'MMATTN_WITH_OPS=1 pip install --no-build-isolation {}'
FROM_CHECKOUT = BUILD.format('-e .')
WITH_CUDA = f'FORCE_CUDA=1 {FROM_CHECKOUT}'


@dataclass(frozen=True)
class Extension:
    """What importing `mmattn._ext` gave.

    Attributes:
        devices: The device types with compiled kernels, of 'cpu' and 'cuda'.
        problem: Why there are none, in a sentence; empty if there are.
        versions: What the kernels were built with: torch_version, mmcv_version, cuda_version,
            cuda_archs.
    """

    devices: frozenset[str] = frozenset()
    problem: str = ''
    versions: dict[str, str] = field(default_factory=dict)

    def missing(self, device_type: str) -> str:
        """Why this device type has no kernels and how to mend it; empty if it has."""
        if device_type in self.devices:
            return ''
        if self.problem:
            return f'{self.problem}; to build them, in a checkout: {FROM_CHECKOUT}'
        return (
            f'the compiled operators have no {device_type.upper()} kernels; to build them, in a '
            f'checkout, with a CUDA build of torch and nvcc: {WITH_CUDA}'
        )


def _load() -> Extension:
    try:
        from mmattn import _ext
    except ImportError as error:
        if getattr(error, 'name', None) == 'mmattn._ext' or 'cannot import name' in str(error):
            return Extension(problem='the operators are not compiled')
        return Extension(
            problem=f'the compiled operators do not load with torch {torch.__version__} ({error})'
        )
    names = ('torch_version', 'mmcv_version', 'cuda_version', 'cuda_archs')
    versions = {name: getattr(_ext, name) for name in names}
    devices = {'cpu', 'cuda'} if versions['cuda_version'] else {'cpu'}
    return Extension(frozenset(devices), versions=versions)


EXTENSION = _load()
