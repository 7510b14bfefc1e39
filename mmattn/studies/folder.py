"""What a study keeps on disk: a folder for each run, the merged configs, a note of its options."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.studies.plan import Study, Variant
from mmattn.studies.runs import Run, end_what_is_left, read_state


def study_folder(study: Study, work_dir: str | Path | None) -> Path:
    return Path(work_dir or Path('work_dirs', 'studies', study.name))


def plan_runs(study: Study, folder: Path, seeds: Sequence[int], amp: bool) -> list[Run]:
    """The runs of a study; all variants of a seed come before the next seed."""
    options = '-amp' if amp else ''
    return [
        Run(
            variant=variant.name,
            seed=seed,
            folder=folder / variant.name / f'seed{seed}',
            config=config_path(folder, variant),
            digest=variant.portable_digest + options,
            earlier_digest=variant.digest + options,
            amp=amp,
            counts_images=_counts_images(variant),
        )
        for seed in seeds
        for variant in study.variants.values()
    ]


def earlier_note(folder: Path) -> dict[str, Any]:
    """Options and seeds of the earlier starts of a study; nothing where there was none.

    Raises:
        UserError: The folder is a file, or the note in it is damaged.
    """
    path = folder / 'study.json'
    try:
        note = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise UserError(
            f'{folder} cannot hold the runs of a study: it is a file, or lies below one; name the '
            'folder of its runs (--work-dir)'
        ) from error
    except ValueError:
        note = None
    if not isinstance(note, dict) or not note.keys() >= {'amp', 'seeds'}:
        raise UserError(
            f'{path} is damaged: it shall hold the options of the study. The runs beside it are '
            'as they were: remove the file and start `mmattn ablate` again with the same --seeds '
            'and --amp; it repeats nothing that is done'
        )
    return note


def config_path(folder: Path, variant: Variant) -> Path:
    return folder / variant.name / f'{variant.name}.py'


def holds_config_of(variant: Variant, path: Path) -> bool:
    """Whether a file says what the config of a variant is now, but for where the data lies."""
    try:
        written = Config.fromfile(path, import_custom_modules=False).to_dict()
    except Exception:  # edited by hand: a config is code, anything can happen in it
        return False
    return Variant(variant.name, written).portable_digest == variant.portable_digest


def write_configs(study: Study, folder: Path) -> dict[str, Path]:
    """Write the merged config of each variant; the paths by name."""
    paths = {name: config_path(folder, variant) for name, variant in study.variants.items()}
    for name, path in paths.items():
        write_atomically(path, study.variants[name].text.encode())
    return paths


def take_over(folder: Path, resume: bool, amp: bool) -> None:
    """Raise UserError where a folder has runs that this start may not, or cannot, go on with."""
    before = earlier_note(folder)
    if before and not resume:
        raise UserError(
            f'{folder} holds runs of an earlier start of this study: go on with it (--resume), '
            'name another folder (--work-dir), or remove it'
        )
    if before and before['amp'] != amp:
        was, remedy = ('with', 'add') if before['amp'] else ('without', 'leave out')
        raise UserError(
            f'the study in {folder} was begun {was} --amp, and its runs would not be comparable: '
            f'{remedy} --amp, or name another folder (--work-dir)'
        )


def seeds_to_run(study: Study, folder: Path, resume: bool) -> tuple[int, ...]:
    """Those of a start that names none: of the study, and of all starts that it goes on with.

    Where all of those named theirs, the study's do not count.
    """
    before = earlier_note(folder) if resume else {}
    own = study.seeds if not before or _took_own_seeds(before) else ()
    return tuple(dict.fromkeys([*own, *before.get('seeds', ())]))


def write_note(folder: Path, amp: bool, seeds: Sequence[int], named: bool = True) -> None:
    """Keep the options of this start, the seeds of all, and whether the first took the study's."""
    before = earlier_note(folder)
    seeds = sorted({*before.get('seeds', ()), *seeds})
    own_seeds = _took_own_seeds(before) if before else not named
    note = {'amp': amp, 'seeds': seeds, 'own_seeds': own_seeds}
    write_atomically(folder / 'study.json', json.dumps(note).encode())


def _took_own_seeds(note: dict[str, Any]) -> bool:
    """Whether the first start took the seeds of the study; earlier versions did not note it."""
    return note.get('own_seeds', True)


def is_outdated(run: Run) -> bool:
    """Whether the folder of a run is that of other settings."""
    state = read_state(run.folder)
    return state.get('digest') is not None and not run.made(state)


def move_aside(run: Run) -> None:
    """Keep the results of other settings under another name."""
    if not is_outdated(run):
        return
    digest = read_state(run.folder)['digest']
    end_what_is_left(run)
    kept = run.folder.parent / 'replaced' / f'{run.folder.name}-{digest}'
    kept.parent.mkdir(exist_ok=True)
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f'{run.folder.name}-{digest}-{number}')
    run.folder.rename(kept)


def _counts_images(variant: Variant) -> bool:
    metric = variant.settings.get('test_evaluator')
    return isinstance(metric, dict) and metric.get('type') == 'SegmentationMetric'
