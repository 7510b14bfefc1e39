"""Which state of this package a result comes from."""

import subprocess
from functools import partial
from pathlib import Path

import mmattn


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
