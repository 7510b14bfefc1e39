"""Pretrained weights that a config asks for: there, or one line on what to do."""

import socket
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from mmattn.errors import UserError

TIMEOUT = 30  # seconds without a byte; a network that swallows packets would wait for minutes


def fetch_pretrained(cfg: Config) -> None:
    """Download (or find) the pretrained weights of a model, before data is looked at.

    Raises UserError naming the weights, the reason and the override that trains from scratch.
    """
    for key, source in _pretrained(cfg.model, 'model'):
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent')
        except (OSError, ImportError, KeyError, UserError) as error:
            reason = 'no such name' if isinstance(error, KeyError) else error
            raise UserError(
                f'the pretrained weights {source} cannot be fetched ({reason}); to train from '
                f'scratch, add --cfg-options {key}=None'
            ) from error
        finally:
            socket.setdefaulttimeout(timeout)


def drop_pretrained(cfg: Config) -> None:
    """Forget the pretrained weights, for runs whose weights all come from a checkpoint."""
    cfg.merge_from_dict({key: None for key, _ in _pretrained(cfg.model, 'model')})


def _pretrained(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """(key that switches it off, source) of each place where a model names pretrained weights."""
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and node.get('checkpoint'):
            yield place, node['checkpoint']
        if isinstance(node.get('pretrained'), str):
            yield f'{place}.pretrained', node['pretrained']
        for key, value in node.items():
            yield from _pretrained(value, f'{place}.{key}')
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _pretrained(value, f'{place}.{index}')
