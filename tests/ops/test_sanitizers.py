"""The compiled CPU path under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
FLAGS = '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
DRIVER = """
import sys
from importlib.util import module_from_spec, spec_from_file_location

import torch
import mmattn

spec = spec_from_file_location('mmattn._ext', sys.argv[1])
mmattn._ext = sys.modules['mmattn._ext'] = module_from_spec(spec)
spec.loader.exec_module(mmattn._ext)

from mmattn.ops import criss_cross_attention
from mmattn.ops.extension import EXTENSION

assert EXTENSION.devices, EXTENSION.problem
for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
    for layout in (torch.contiguous_format, torch.channels_last):
        for size in ((1, 1), (1, 7), (9, 1), (5, 3), (33, 17), (16, 48)):
            for key_channels, channels in ((1, 1), (3, 5), (80, 130)):
                args = [
                    torch.randn(2, n, *size).to(dtype).contiguous(memory_format=layout)
                    for n in (key_channels, key_channels, channels)
                ]
                out = criss_cross_attention(*[x.requires_grad_() for x in args])
                out.float().square().sum().backward()
                assert all(x.grad.isfinite().all() for x in args)
print('no finding')
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='preloads the sanitizers of gcc')
def test_kernels_touch_only_their_own_memory(tmp_path):
    # A kernel is code over a range of pixels: threads add nothing but a longer report.
    env = os.environ | {'CFLAGS': FLAGS, 'LDFLAGS': FLAGS, 'MMATTN_WITH_OPS': '1'}
    env |= {'OMP_NUM_THREADS': '1', 'FORCE_CUDA': '0', 'CUDA_VISIBLE_DEVICES': ''}
    build = [sys.executable, 'setup.py', 'build_ext', '--build-lib', str(tmp_path / 'lib')]
    build += ['--build-temp', str(tmp_path / 'objects')]
    result = subprocess.run(build, cwd=REPO, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (extension,) = (tmp_path / 'lib').rglob('_ext*.so')
    assert b'__asan_report_load' in extension.read_bytes()

    def library(name: str) -> str:
        command = ['gcc', f'-print-file-name={name}']
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    env |= {
        'LD_PRELOAD': f'{library("libasan.so")} {library("libubsan.so")}',
        'ASAN_OPTIONS': 'detect_leaks=0',  # Python itself leaks at exit
        'PYTHONPATH': str(REPO),
    }
    command = [sys.executable, '-c', DRIVER, str(extension)]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-5000:]
    assert 'no finding' in result.stdout
