"""All that differs between the two distributions of mmengine, mmcv and MMSegmentation.

`onedl-mmengine` and `mmengine` (likewise mmcv and mmseg) provide the same import packages. Nothing
in this file imports them before they are needed, so that a missing one can be explained.
"""

import codecs
import io
import os
import pickle
import re
import warnings
from contextlib import redirect_stdout
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType

from mmattn.errors import UserError


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
    # mmcv without compiled ops says so at every import; nothing of ours needs those ops.
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def import_mmseg() -> None:
    """Import and register all of mmseg without the lines `Could not import OneDL` it prints."""
    require_stack()
    output = io.StringIO()
    with redirect_stdout(output):
        from mmseg.utils import register_all_modules

        register_all_modules(init_default_scope=True)
    for line in output.getvalue().splitlines():
        if line != 'Could not import OneDL':
            print(line)


def enable_safe_checkpoints() -> None:
    """Make mmengine read every checkpoint with `weights_only=True`, on both distributions.

    Upstream mmengine cannot read its own checkpoints on torch >= 2.6, where safe loading refuses
    the training log (`HistoryBuffer`, numpy arrays) inside them, and reads unsafely on older ones;
    the maintained one falls back to unsafe loading. Here that log is allowed by name, and nothing
    else is.
    Calling it again changes nothing.
    """
    require_stack()
    from mmengine.runner import checkpoint

    def load_from_local(filename, map_location=None):
        return safe_load(filename, map_location=map_location)

    # The name matters: mmengine prints what follows `load_from_` as the name of the backend.
    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    # The loaders of the other schemes (http, torchvision, open-mmlab, s3, pavi) end in these.
    checkpoint.load_url = _safe_load_url
    checkpoint._safe_torch_load = safe_load  # of the maintained distribution
    checkpoint.torch = _SafelyLoadingTorch('torch')  # upstream they call torch.load themselves


class _SafelyLoadingTorch(ModuleType):
    """torch, but for `load`."""

    def __getattr__(self, name: str):
        import torch

        return getattr(torch, name)

    def load(self, file, map_location=None):
        return safe_load(file, map_location=map_location)


def safe_load(file, map_location=None):
    """`torch.load(weights_only=True)` that also accepts the training log in mmengine's checkpoints.

    Raises UserError when the file is missing, is no checkpoint, or holds objects other than that.
    """
    import torch

    if isinstance(file, (str, os.PathLike)):
        file = os.path.expanduser(file)
        if not os.path.isfile(file):
            raise UserError(
                f'checkpoint {file} is not a file: check the path, or look into the work '
                'dir of the training run for iter_*.pth and best_*.pth'
            )
    return _loaded_safely(str(file), torch.load, file, map_location=map_location)


def _safe_load_url(url: str, **kwargs):
    from torch.hub import load_state_dict_from_url

    return _loaded_safely(url, load_state_dict_from_url, url, **kwargs)


def _loaded_safely(name: str, load, *args, **kwargs):
    import torch

    # At every load: the list is torch's and global, and mmengine takes entries out of it again.
    torch.serialization.add_safe_globals(_allowed_globals())
    try:
        return load(*args, weights_only=True, **kwargs)
    except (OSError, torch.cuda.OutOfMemoryError):  # not about what the checkpoint holds
        raise
    except Exception as error:  # damaged files fail in whatever way the reader stumbles
        raise UserError(_why_not_loaded(name, str(error))) from error


def _why_not_loaded(name: str, reason: str) -> str:
    found = re.search(r'(?:GLOBAL|Refused) ([\w.]+)', reason)
    if found:
        return (
            f'checkpoint {name} was not loaded: it holds a Python object ({found[1]}) that could '
            'run code while loading. If you trust the file, save its weights alone, with '
            "torch.save(dict(state_dict=...), 'weights.pth'), and give that file"
        )
    return (
        f'checkpoint {name} cannot be read as a PyTorch checkpoint: it is another kind of file, or '
        'it is damaged or cut short. Give a .pth file that a training run wrote'
    )


@lru_cache(maxsize=1)
def _allowed_globals() -> list:
    """What mmengine's checkpoints hold besides tensors: its log, numpy arrays and numpy numbers."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray

    def history_method(owner, name):
        if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
            return getattr(HistoryBuffer, name)
        raise pickle.UnpicklingError(f'Refused builtins.getattr of {name}')

    # HistoryBuffer pickles its methods as `getattr(HistoryBuffer, 'mean')`: where a checkpoint says
    # getattr it is given a function that knows those methods and nothing else.
    # Arrays pickle their bytes as `_codecs.encode(text, 'latin1')`; torch allows it from 2.5 on.
    allowed = [HistoryBuffer, np.ndarray, np.dtype, codecs.encode]
    allowed.append(_alias('builtins.getattr', history_method))
    # numpy 2 moved numpy.core to numpy._core; a checkpoint may have been written by either.
    for function in (multiarray._reconstruct, multiarray.scalar):
        allowed += [
            _alias(f'numpy.{core}.multiarray.{function.__name__}', function)
            for core in ('core', '_core')
        ]
    return allowed + list({type(np.dtype(code)) for code in '?bBhHiIlLqQefdU'})


def _alias(path: str, function):
    """`function`, as safe loading finds it under a path (torch < 2.6 knows no other names)."""

    def alias(*args):
        return function(*args)

    alias.__module__, alias.__name__ = path.rsplit('.', 1)
    alias.__qualname__ = alias.__name__
    return alias
