"""Are weights numbers? A model of NaN computes, and is scored, without a word."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmattn.errors import UserError


def non_finite(weights: Mapping[str, Any]) -> list[str]:
    """The entries of a state dict that hold NaN or infinity."""
    return [
        name
        for name, value in weights.items()
        if isinstance(value, torch.Tensor)
        and (value.is_floating_point() or value.is_complex())
        and not value.isfinite().all()
    ]


def refuse_non_finite(path: str | Path, weights: Mapping[str, Any]) -> None:
    """Raise UserError where a checkpoint holds weights that are no numbers."""
    names = non_finite(weights)
    if names:
        raise UserError(
            f'checkpoint {path} holds NaN or infinity in {len(names)} of its {len(weights)} '
            f'entries, such as {names[0]}: its training diverged. Give an earlier checkpoint, or '
            'train anew with a lower learning rate'
        )
