"""Which state of this package, and which processor, a result comes from."""

import os
import platform
import re
import subprocess
from functools import partial
from pathlib import Path

import torch

import mmattn
from mmattn.processor import cpu_has_bfloat16


def commit() -> str:
    """The commit of this package, '-dirty' if it was changed since; '' outside a checkout."""
    package = Path(mmattn.__file__).parent
    git = partial(subprocess.run, cwd=package, capture_output=True, text=True)
    try:
        # Installed below a checkout of something else, as in a virtual environment.
        if git(['git', 'ls-files', '--error-unmatch', '__init__.py']).returncode:
            return ''
        head = git(['git', 'rev-parse', '--short=7', 'HEAD'])
        if head.returncode:
            return ''
        dirty = git(['git', 'diff', '--quiet', 'HEAD', '--', '.']).returncode
    except FileNotFoundError:  # no git
        return ''
    return head.stdout.strip() + ('-dirty' if dirty else '')


def device_name(device: str) -> str:
    """What `cpu` or `cuda` is on this machine, in words."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    return f'{processor()}, {os.cpu_count()} cores'


def processor() -> str:
    """The model of this machine's processor, and what torch's kernels use of it, in words."""
    info = Path('/proc/cpuinfo')
    names = re.findall(r'model name\s*: (.+)', info.read_text()) if info.is_file() else []
    name = names[0] if names else platform.processor() or platform.machine()
    bfloat16 = ', bfloat16' if cpu_has_bfloat16() else ''
    return f'{name} ({torch.backends.cpu.get_cpu_capability()}{bfloat16})'
