"""Importing mmengine, mmcv and MMSegmentation quietly, and saying what is missing.

They come in two distributions of the same import names, `onedl-mmengine` and `mmengine` and so on.
Nothing here imports them before they are needed, so that a missing one can be explained.
"""

import io
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec

from mmattn.errors import UserError

_NOISE = 'Could not import OneDL'


class MissingStackError(UserError, ImportError):
    """mmengine, mmcv or mmseg is not installed."""


def require_stack() -> None:
    """Raise ImportError that names the command to install mmengine, mmcv and mmseg."""
    missing = [name for name in ('mmengine', 'mmcv', 'mmseg') if find_spec(name) is None]
    if missing:
        raise MissingStackError(
            f'mmattn needs {", ".join(missing)}, which this Python does not have. In a checkout of '
            'mmattn, install the maintained distributions with `make setup` or `pip install -e '
            '".[onedl]"` (the upstream ones with `pip install -e ".[openmmlab]"`). '
            '`mmattn.attention` and `mmattn.ops` work with torch alone.'
        )


def import_mmseg() -> None:
    """Import and register all of mmseg, without the lines of noise that its import prints.

    Raises:
        MissingStackError: It, mmengine or mmcv is not installed.
    """
    require_stack()
    output = io.StringIO()
    try:
        with redirect_stdout(output), warnings.catch_warnings():
            # mmcv without compiled ops says so at its import; nothing of ours needs those ops.
            warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformable')
            from mmseg.utils import register_all_modules

            register_all_modules(init_default_scope=False)
    finally:
        for line in output.getvalue().splitlines():
            if line != _NOISE:
                print(line)
