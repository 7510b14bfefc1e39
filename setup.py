"""`pip install .` or `pip install -e .`; the extras `onedl` and `openmmlab` bring the stack."""

import os
import re
import shutil
import sys
import warnings
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
SOURCES = Path('mmattn/ops/csrc/pytorch')


def read_version() -> str:
    """Return the version that mmattn/__init__.py states, without importing the package."""
    text = (HERE / 'mmattn' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"""^__version__ = ['"]([^'"]+)['"]$""", text, re.MULTILINE).group(1)


# The two stacks are distributions of the same import packages and would overwrite each other's
# files: neither is a requirement of mmattn itself.
STACKS = {
    'onedl': [
        'onedl-mmengine==0.10.12',
        'onedl-mmcv==2.3.6',
        'onedl-mmsegmentation==1.4.2',
    ],
    'openmmlab': [
        'mmengine==0.10.7',
        'mmcv==2.1.0',
        'mmsegmentation==1.2.2',
        # mmsegmentation 1.2.2 imports these two and does not require them
        'ftfy',
        'regex',
    ],
}


def find_mmcv() -> tuple[str, Path]:
    """Return mmcv's version and the folder of its operator headers, which both stacks ship."""
    spec = find_spec('mmcv')
    if spec is None:
        raise ImportError('mmcv is not installed')
    headers = Path(spec.submodule_search_locations[0], 'ops', 'csrc', 'common')
    if not (headers / 'pytorch_cpp_helper.hpp').is_file():
        raise ImportError(f'mmcv has no operator headers in {headers}')
    return version(packages_distributions()['mmcv'][0]), headers


def operators() -> dict:
    """Return the arguments of setup() that build `mmattn._ext`, as mmcv builds `mmcv._ext`.

    MMATTN_WITH_OPS=1 makes a build that cannot be an error, 0 leaves it out; without it the package
    installs with or without. FORCE_CUDA=1 compiles the CUDA kernels on a machine without a GPU,
    for the TORCH_CUDA_ARCH_LIST.
    """
    wanted = os.environ.get('MMATTN_WITH_OPS')
    if wanted not in (None, '0', '1'):
        sys.exit(f'error: MMATTN_WITH_OPS must be 0 or 1, got {wanted!r}')
    if wanted == '0':
        return {}
    try:
        import torch
        from torch.utils.cpp_extension import (
            CUDA_HOME,
            BuildExtension,
            CppExtension,
            CUDAExtension,
        )

        mmcv_version, headers = find_mmcv()
    except ImportError as error:
        if wanted == '1':
            sys.exit(
                f'error: the operators cannot be compiled: {error}; install torch and a stack '
                'first and add --no-build-isolation'
            )
        warnings.warn(f'mmattn is installed without compiled operators: {error}', stacklevel=2)
        return {}

    force_cuda = os.environ.get('FORCE_CUDA') == '1'
    if force_cuda and (torch.version.cuda is None or CUDA_HOME is None):
        missing = 'nvcc (CUDA_HOME)' if torch.version.cuda else 'a CUDA build of torch'
        sys.exit(f'error: FORCE_CUDA=1 needs {missing}')
    with_cuda = force_cuda or (torch.cuda.is_available() and CUDA_HOME is not None)
    archs = os.environ.get('TORCH_CUDA_ARCH_LIST', 'those of the GPUs of the build machine')
    macros = {
        'MMATTN_TORCH_VERSION': torch.__version__,
        'MMATTN_MMCV_VERSION': mmcv_version,
        'MMATTN_CUDA_VERSION': torch.version.cuda if with_cuda else '',
        'MMATTN_CUDA_ARCHS': archs if with_cuda else '',
    }
    sources = [*SOURCES.glob('*.cpp'), *SOURCES.glob('cpu/*.cpp')]
    if with_cuda:
        sources += SOURCES.glob('cuda/*.cu')

    class BuildOperators(BuildExtension):
        """Without MMATTN_WITH_OPS=1 a failed compilation leaves the operators out."""

        def run(self) -> None:
            try:
                super().run()
            except Exception as error:
                if wanted == '1':
                    raise
                self.extensions = []
                warnings.warn(
                    f'mmattn is installed without compiled operators: {error}', stacklevel=2
                )

    extension = (CUDAExtension if with_cuda else CppExtension)(
        'mmattn._ext',
        sorted(map(str, sources)),
        include_dirs=[str(headers), str(headers / 'cuda')],
        define_macros=[(name, f'"{value}"') for name, value in macros.items()],
        extra_compile_args={'cxx': ['-O3', '-fopenmp'], 'nvcc': ['-O3']},
        extra_link_args=['-fopenmp'],
    )
    return {'ext_modules': [extension], 'cmdclass': {'build_ext': BuildOperators}}


class BuildPackage(build_py):
    """Puts the configs into the wheel, where OpenMMLab's packages have theirs."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, 'mmattn', '.mim', 'configs')
            shutil.copytree(HERE / 'configs', target, dirs_exist_ok=True)


def commands_and_extensions() -> dict:
    """The arguments of setup() that build."""
    build = operators()
    build.setdefault('cmdclass', {})['build_py'] = BuildPackage
    return build


setup(
    name='mmattn',
    version=read_version(),
    description='Attention mechanisms for semantic segmentation on PyTorch and MMSegmentation',
    license='Apache-2.0',
    packages=find_packages(include=['mmattn', 'mmattn.*']),
    package_data={'mmattn': ['py.typed', 'web/page.*']},
    entry_points={'console_scripts': ['mmattn = mmattn.cli:main']},
    python_requires='>=3.10',
    install_requires=['torch>=2.4', 'numpy', 'opencv-python', 'matplotlib', 'pillow', 'rich'],
    extras_require={
        **STACKS,
        'data': ['cityscapesscripts'],
        'studies': ['scipy'],
        'slurm': ['submitit'],
        'demo': ['gradio>=6.31,<7'],
        'export': ['onnx', 'onnxruntime', 'onnxscript'],
        'openvino': ['onnx', 'onnxscript', 'openvino'],
        'test': [
            *('pytest', 'pytest-xdist', 'hypothesis', 'ruff', 'submitit'),
            *('onnx', 'onnxruntime', 'onnxscript', 'openvino'),
        ],
    },
    **commands_and_extensions(),
)
