"""Checkpoints that are whole and run no code: how mmengine reads and writes files, changed once.

Upstream mmengine cannot read its own checkpoints on torch >= 2.6, where safe loading refuses the
training log (`HistoryBuffer`, numpy arrays) inside them, and reads unsafely on older ones; the
maintained distribution falls back to unsafe loading. Both write to the final name at once, so that
a killed run leaves half a checkpoint as its latest.
"""

import codecs
import os
import pickle
import re
import zipfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmattn.engine.published import download, published_file
from mmattn.engine.record import record_path, remove_record, verify
from mmattn.errors import UserError
from mmattn.files import write_atomically


def install() -> None:
    """Make mmengine, in this whole process, read checkpoints safely and write files whole.

    Safely: always with `weights_only=True`, and the training log in them allowed by name. Calling
    it again changes nothing. `mmattn.engine.contract` lists the private names that it leans on.
    """
    # The name matters: mmengine prints what follows `load_from_` as the name of the backend.
    mmengine_checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    # The loaders of the other schemes (http, torchvision, open-mmlab, s3, pavi) end in these.
    mmengine_checkpoint.load_url = _safe_load_url
    mmengine_checkpoint._safe_torch_load = safe_load  # of the maintained distribution
    mmengine_checkpoint.torch = _SafelyLoadingTorch('torch')  # upstream they call torch.load
    register_backend('local', AtomicLocalBackend, prefixes='', force=True)
    backend_instances.clear()  # those that were made before


class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, written beside their place and moved there when complete."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        remove_record(Path(filepath))
        write_atomically(Path(filepath), obj, durable=True)


def load_from_local(filename: str, map_location: Any = None) -> dict:
    """What mmengine calls to read a checkpoint file, or a published one by the model's name."""
    return safe_load(published_file(filename) or filename, map_location=map_location)


def safe_load(file: Any, map_location: Any = None) -> Any:
    """`torch.load(weights_only=True)` that also accepts the training log in mmengine's checkpoints.

    Raises UserError when the file is missing, damaged (by its record), is no checkpoint, holds
    objects other than that, or would take more memory than its size.
    """
    if isinstance(file, (str, os.PathLike)):
        file = os.path.expanduser(file)
        if not os.path.isfile(file):
            raise UserError(
                f'checkpoint {file} is not a file: check the path, or look into the work '
                'dir of the training run for iter_*.pth and best_*.pth'
            )
        verify(Path(file))
    _check_archive(file)
    return _loaded_safely(str(file), torch.load, file, map_location=map_location)


def check_whole(checkpoint: Path) -> None:
    """Raise UserError where a file of a run is damaged: by its record, or else by its archive."""
    verify(checkpoint)
    if record_path(checkpoint).is_file():
        return
    try:
        _check_archive(checkpoint)
        with zipfile.ZipFile(checkpoint) as archive:
            if archive.testzip() is None:
                return
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError):
        pass
    raise UserError(_why_not_loaded(str(checkpoint), ''))


class _SafelyLoadingTorch(ModuleType):
    """torch, but for `load`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def load(self, file: Any, map_location: Any = None) -> Any:
        return safe_load(file, map_location=map_location)


def _safe_load_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> Any:
    """`torch.hub.load_state_dict_from_url`, but that the file is read as all others are."""
    return safe_load(download(url, model_dir), map_location)


def _check_archive(file: Any) -> None:
    """Raise UserError for an archive that unpacks to more than its own size.

    torch stores the members of its archives as they are; compressed or overlapping ones are made to
    fill the memory of whoever reads them.
    """
    begin = None if isinstance(file, str | os.PathLike) else file.tell()
    try:
        if not zipfile.is_zipfile(file):
            return
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # the reader says so
    finally:
        if begin is not None:
            file.seek(begin)
    size = _size(file)
    unpacked = sum(member.file_size for member in members)
    if unpacked > size or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UserError(
            f'checkpoint {file} was not loaded: it has {size:,} bytes and would take {unpacked:,} '
            'when it is unpacked. torch writes its checkpoints uncompressed; unpack the file first '
            'if you trust it'
        )


def _size(file: Any) -> int:
    if isinstance(file, (str, os.PathLike)):
        return os.path.getsize(file)
    here = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size


def _loaded_safely(name: str, load: Any, *args: Any, **kwargs: Any) -> Any:
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


def _alias(path: str, function: Any) -> Any:
    """`function`, as safe loading finds it under a path (torch < 2.6 knows no other names)."""

    def alias(*args):
        return function(*args)

    alias.__module__, alias.__name__ = path.rsplit('.', 1)
    alias.__qualname__ = alias.__name__
    return alias
