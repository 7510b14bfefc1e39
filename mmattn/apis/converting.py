"""Weights of other repositories and libraries into ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmattn.apis.layouts import LAYOUTS
from mmattn.apis.layouts.fit import format_options, lacking_settings
from mmattn.apis.layouts.plan import Layout, Plan, Settings, State, Translation, translate
from mmattn.apis.models import saved_classes
from mmattn.engine.checkpoints import safe_load
from mmattn.engine.finite import refuse_non_finite
from mmattn.engine.record import remove_record
from mmattn.errors import UserError
from mmattn.files import check_writable, replacing


@dataclass(frozen=True)
class Conversion:
    """What a conversion did; printed, a few lines for people.

    Attributes:
        out: The file that was written.
        translation: The weights, and the entries that were left.
        settings: What a config must say, dotted key to value: all of it, or, where a config was
            given, what that one does not say yet.
        notes: What no setting can say.
        config: The config that the weights were held against; None without.
        use: How the file is used.
    """

    out: Path
    translation: Translation
    settings: Settings
    notes: tuple[str, ...]
    config: str | None
    use: str

    def __str__(self) -> str:
        done = self.translation
        lines = [
            f'mapped: {len(done.state)} entries',
            f'missing: {_some(done.missing)}',
            f'not needed: {_some(done.unused)}',
            f'unexpected, and left out: {_some(done.unexpected)}',
        ]
        if self.config and not self.settings:
            lines.append(f'{self.config} has a model of these weights')
        elif self.config:
            lines.append(
                f'the weights fit {self.config}, but it computes with them otherwise than their '
                f'source does; add --cfg-options {format_options(self.settings)}'
            )
        elif self.settings:
            lines.append(f'a config for it says: {format_options(self.settings)}')
        lines += [f'note: {note}' for note in self.notes]
        return '\n'.join([*lines, f'written: {self.out}; {self.use}'])


def convert(
    source: str,
    file: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    cfg_options: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Write the weights of a file under the names that they have in our models.

    The file is read safely: nothing in it is run.

    Args:
        source: Where it comes from, a key of `mmattn.apis.layouts.LAYOUTS`.
        file: Checkpoint or state dict, as torch.save wrote it.
        out: Checkpoint to write, for `mmattn test`, `load_model` and ``init_cfg``.
        config: Config whose model the weights must fill, entry by entry; else nothing is written.
        cfg_options: Overrides of it, dotted key to value.
        overwrite: Replace ``out`` if it exists.

    Raises:
        UserError: An unknown source, a file that is no checkpoint or of another layout, weights
            that no model of ours can represent or that do not fit the config, or a file that is
            there already.
    """
    file, out = Path(file), Path(out)
    if source not in LAYOUTS:
        raise UserError(f'unknown source {source!r}; known are {", ".join(LAYOUTS)}')
    _check_out(file, out, overwrite)
    layout = LAYOUTS[source]
    state, meta = _read(file)
    plan, entries = _plan(layout, file, state)
    translation = translate(plan, entries)
    refuse_non_finite(file, translation.state)
    settings = plan.settings
    if config:
        settings = lacking_settings(layout, plan, translation.state, config, cfg_options)
    elif cfg_options:
        raise UserError('--cfg-options are of a config: give it with --config')
    checkpoint = {
        'state_dict': translation.state,
        'meta': {**meta, 'converted_from': f'{file.name} ({layout.title})'},
    }
    with replacing(out, durable=True) as unfinished:
        torch.save(checkpoint, unfinished)
        remove_record(out)
    use = f'mmattn test CONFIG {out}'
    if layout.backbone_only:
        use = f'to train from it, add --cfg-options model.pretrained={out}'
    return Conversion(out, translation, settings, plan.notes, config and str(config), use)


def _check_out(file: Path, out: Path, overwrite: bool) -> None:
    if out.is_dir():
        raise UserError(f'{out} is a folder: name the file to write, such as {out}/converted.pth')
    check_writable(out.parent, 'the folder of the converted weights', 'name another file to write')
    if out.exists() and file.exists() and out.samefile(file):
        raise UserError(f'{out} is the file that is read: name another one to write')
    if out.exists() and not overwrite:
        raise UserError(f'{out} exists: name another file, or give --overwrite')


def _read(file: Path) -> tuple[State, dict]:
    """The weights of a file, and what a checkpoint of MMSegmentation says of its classes."""
    content = safe_load(file, map_location='cpu')
    meta = {}
    while isinstance(content, dict):
        classes = saved_classes(content.get('meta'))
        meta = {'dataset_meta': classes} if classes else meta
        inner = next((content[key] for key in ('state_dict', 'model') if key in content), None)
        if not isinstance(inner, dict):
            break
        content = inner
    entries = content.items() if isinstance(content, dict) else ()
    state = {
        key: value.detach()
        for key, value in entries
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if not state:
        raise UserError(
            f'{file} holds no weights: expected a state dict, or a checkpoint with one under '
            '`state_dict` or `model`'
        )
    return state, meta


def _plan(layout: Layout, file: Path, state: State) -> tuple[Plan, State]:
    entries = layout.unwrapped(state)
    if entries is None:
        others = [name for name, other in LAYOUTS.items() if other.unwrapped(state)]
        hint = f'it looks like --from {" or ".join(others)}' if others else 'no other layout fits'
        raise UserError(
            f'{file} is no {layout.title}: it has no entry {layout.marks[0]}, but for instance '
            f'{next(iter(state))}; {hint}'
        )
    try:
        return layout.read(entries), entries
    except KeyError as error:
        raise UserError(f'{file} is no whole {layout.title}: {error} is missing') from error
    except UserError as error:
        raise UserError(f'{file} cannot be converted: {error}') from error


def _some(keys: list[str]) -> str:
    if not keys:
        return 'none'
    names = ', '.join(keys[:3]) + (', ...' if len(keys) > 3 else '')
    return f'{len(keys)} ({names})'
