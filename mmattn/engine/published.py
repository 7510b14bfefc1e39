"""Checkpoints that MMSegmentation publishes, by the names of their configs."""

import difflib
import re
import socket
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.fileio import load

from mmattn.errors import UserError
from mmattn.files import is_disk_full

HOST = 'https://download.openmmlab.com'
MODEL_ZOO = Path(find_spec('mmseg').origin).parent / '.mim' / 'configs'
TIMEOUT = 30  # seconds without a byte; a network that swallows packets would wait for minutes

NAME = r'[\w+-]+_(?:[\w+-]|\.\d)+'  # of models; methods have no _ in theirs, files a suffix


def download(url: str, folder: str | Path | None = None, *, check_hash: bool = False) -> Path:
    """Download a file into torch hub's cache, unless it is there; whole or not at all.

    Args:
        url: Its address.
        folder: Another folder for it.
        check_hash: Hold it against the digits in its name, which are those of its SHA-256.
    """
    folder = Path(folder or Path(torch.hub.get_dir(), 'checkpoints'))
    file = folder / Path(urlparse(url).path).name
    if file.is_file():
        return file
    folder.mkdir(parents=True, exist_ok=True)
    digits = re.search(r'-([a-f0-9]{8,})\.', file.name) if check_hash else None
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        torch.hub.download_url_to_file(url, str(file), hash_prefix=digits and digits[1])
    finally:
        socket.setdefaulttimeout(timeout)
    return file


def published_file(name: str) -> Path | None:
    """The checkpoint of a model of MMSegmentation's zoo, downloaded; None for names of files.

    Args:
        name: Such as ``danet_r50-d8_4xb2-40k_cityscapes-512x1024``, or the path of a file.

    Raises:
        UserError: It looks like such a name, but there is no such model or no file, or the file
            cannot be fetched.
    """
    if Path(name).exists() or not re.fullmatch(NAME, name):
        return None
    url = address(name)
    try:
        return download(url, check_hash=True)
    except (OSError, RuntimeError) as error:
        if is_disk_full(error):
            raise
        folder = Path(torch.hub.get_dir(), 'checkpoints')
        raise UserError(
            f'the checkpoint of {name} cannot be fetched ({error}): download {url} where there is '
            f'a network, and give the file, or put it into {folder}'
        ) from error


def address(name: str) -> str:
    """Where the checkpoint of a model of MMSegmentation's zoo lies.

    Raises:
        UserError: No model has that name.
    """
    names = []
    for metafile in sorted(MODEL_ZOO.glob('*/metafile.yaml')):
        here = re.findall(f'^- Name: ({NAME})$', metafile.read_text(encoding='utf-8'), re.M)
        if name in here:
            models = {model['Name']: model for model in load(metafile)['Models']}
            return address_of(models[name])
        names += here
    alike = difflib.get_close_matches(name, names, n=3)
    words = f'; alike are {", ".join(alike)}' if alike else ''
    raise UserError(
        f'checkpoint {name} is neither a file nor the name of a model of MMSegmentation{words}: '
        'check the path, or look into the work dir of the training run for iter_*.pth and '
        'best_*.pth'
    )


def address_of(model: dict) -> str:
    """The address in an entry of a metafile: the two distributions name two hosts of one file."""
    return HOST + urlparse(model['Weights']).path
