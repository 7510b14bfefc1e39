"""`python -m mmattn.ops`: which operators are compiled, with what, and where the fast path runs."""

import torch

from mmattn import __version__
from mmattn.ops.extension import EXTENSION


def main() -> None:
    cuda = torch.version.cuda or 'none'
    print(f'mmattn {__version__}, torch {torch.__version__}, CUDA of torch: {cuda}')
    if EXTENSION.problem:
        print(f'mmattn._ext: {EXTENSION.problem}')
    else:
        built = EXTENSION.versions
        kernels = f'CUDA {built["cuda_version"]}' if built['cuda_version'] else 'no CUDA kernels'
        archs = f' for {built["cuda_archs"]}' if built['cuda_archs'] else ''
        print(
            f'mmattn._ext: built with torch {built["torch_version"]}, headers of mmcv '
            f'{built["mmcv_version"]}, {kernels}{archs}'
        )
    for device in ('cpu', 'cuda'):
        missing = EXTENSION.missing(device)
        path = f'PyTorch implementation: {missing}' if missing else 'compiled kernel'
        print(f'criss_cross_attention on {device}: {path}')
    if not torch.cuda.is_available():
        print('no CUDA device is visible to torch')


if __name__ == '__main__':
    main()
