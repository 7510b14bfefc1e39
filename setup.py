"""`pip install .` or `pip install -e .`; the extras `onedl` and `openmmlab` bring the stack."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


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

setup(
    name='mmattn',
    version=read_version(),
    description='Attention mechanisms for semantic segmentation on PyTorch and MMSegmentation',
    license='Apache-2.0',
    packages=find_packages(include=['mmattn', 'mmattn.*']),
    python_requires='>=3.10',
    install_requires=['torch>=2.4', 'numpy', 'opencv-python', 'matplotlib', 'pillow', 'rich'],
    extras_require={
        **STACKS,
        'data': ['cityscapesscripts'],
        'test': ['pytest', 'ruff', 'onnx', 'onnxruntime', 'onnxscript'],
    },
)
