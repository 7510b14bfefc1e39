"""Running a study, and going on with one."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from mmattn.engine.lock import sole_run
from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.files import check_writable, write_atomically
from mmattn.provenance import commit
from mmattn.studies import overview
from mmattn.studies.launchers import LocalLauncher, SlurmLauncher
from mmattn.studies.plan import Study, Variant, check_seeds, check_variants, load_study
from mmattn.studies.runs import DONE, Run, end_what_is_left, read_state

LAUNCHERS = ('local', 'slurm')
_REFRESH = 1.0  # seconds between two looks at the state files


@dataclass(frozen=True, repr=False)
class Ablation:
    """What became of a study; printed, or shown by a notebook, it is a table."""

    study: Study
    folder: Path
    runs: list[Run]

    @property
    def states(self) -> dict[str, str]:
        return {run.name: run.state()['state'] for run in self.runs}

    def __repr__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as capture:
            console.print(overview.table(self.runs, None, self.study.question))
        return capture.get()


def ablate(
    study: str | Path,
    *,
    seeds: Sequence[int] | None = None,
    jobs: int = 1,
    launcher: str = 'local',
    resume: bool = False,
    amp: bool = False,
    work_dir: str | Path | None = None,
    launcher_options: Mapping[str, Any] | None = None,
) -> Ablation:
    """Train and test every variant of a study from every seed.

    Args:
        study: Study file, or the name of one in `configs/studies`.
        seeds: Default: those of the study.
        jobs: Runs at a time on this machine; they share its cores and GPUs.
        launcher: local, or slurm for a job of Slurm for each run (with submitit).
        resume: Go on with an earlier start: what is done is not repeated, what was interrupted goes
            on from its last checkpoint, what failed is tried again, and a variant whose merged
            config is another now runs anew; its old results are moved to `replaced`.
        amp: Mixed precision, as of `train` and `test`.
        work_dir: Folder of all runs; default `work_dirs/studies/<name of the study>`.
        launcher_options: Parameters of submitit.

    Raises:
        UserError: Whatever can be known to be wrong before the first run; results of an earlier
            start without ``resume``.
    """
    with separate_run():
        plan = load_study(study)
    seeds = plan.seeds if seeds is None else tuple(seeds)
    check_seeds(seeds)
    if launcher not in LAUNCHERS:
        raise UserError(f'there is no launcher {launcher!r}; there are {", ".join(LAUNCHERS)}')
    folder = study_folder(plan, work_dir)
    check_writable(folder, 'work dir', 'name another with --work-dir')
    with separate_run(), sole_run(folder):
        _take_over(folder, resume, amp)
        configs = write_configs(plan, folder)
        check_variants(plan, configs)
        runs = plan_runs(plan, folder, seeds, amp)
        for run in runs:
            _move_aside(run)
        _write_note(folder, amp, seeds)
        log = _Log(folder / 'log.txt', Console())
        if launcher == 'slurm':
            started = SlurmLauncher(folder / 'slurm', launcher_options or {})
        else:
            started = LocalLauncher(jobs)
        _run(plan, [run for run in runs if run.state()['state'] != DONE], runs, started, log)
    return Ablation(plan, folder, runs)


def study_folder(study: Study, work_dir: str | Path | None) -> Path:
    return Path(work_dir or Path('work_dirs', 'studies', study.name))


def plan_runs(study: Study, folder: Path, seeds: Sequence[int], amp: bool) -> list[Run]:
    """The runs of a study; all variants of a seed come before the next seed."""
    return [
        Run(
            variant=variant.name,
            seed=seed,
            folder=folder / variant.name / f'seed{seed}',
            config=config_path(folder, variant),
            digest=variant.digest + ('-amp' if amp else ''),
            amp=amp,
            counts_images=_counts_images(variant),
        )
        for seed in seeds
        for variant in study.variants.values()
    ]


def earlier_note(folder: Path) -> dict[str, Any]:
    """Options and seeds of the earlier starts of a study; nothing where there was none."""
    try:
        return json.loads((folder / 'study.json').read_bytes())
    except FileNotFoundError:
        return {}


def config_path(folder: Path, variant: Variant) -> Path:
    return folder / variant.name / f'{variant.name}.py'


def write_configs(study: Study, folder: Path) -> dict[str, Path]:
    """Write the merged config of each variant; the paths by name."""
    paths = {name: config_path(folder, variant) for name, variant in study.variants.items()}
    for name, path in paths.items():
        write_atomically(path, study.variants[name].text.encode())
    return paths


def _take_over(folder: Path, resume: bool, amp: bool) -> None:
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


def _write_note(folder: Path, amp: bool, seeds: Sequence[int]) -> None:
    seeds = sorted({*earlier_note(folder).get('seeds', ()), *seeds})
    note = {'amp': amp, 'seeds': seeds, 'commit': commit()}
    write_atomically(folder / 'study.json', json.dumps(note).encode())


def _move_aside(run: Run) -> None:
    """Keep the results of other settings under another name."""
    digest = read_state(run.folder).get('digest')
    if digest in (None, run.digest):
        return
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


class _Log:
    """Lines with the time, for a file, and for the screen where it is no terminal."""

    def __init__(self, path: Path, console: Console) -> None:
        self.path = path
        self.console = console

    def __call__(self, line: str) -> None:
        line = f'{time.strftime("%H:%M:%S")}  {line}'
        with self.path.open('a', encoding='utf-8') as file:
            file.write(f'{line}\n')
        if not self.console.is_terminal:
            print(line, flush=True)


def _run(
    study: Study,
    to_do: list[Run],
    runs: list[Run],
    launcher: LocalLauncher | SlurmLauncher,
    log: _Log,
) -> None:
    """Run what is to do, and show how it goes."""
    settings = study.variants[study.baseline].settings
    iterations = (settings.get('train_cfg') or {}).get('max_iters')

    def table():
        return overview.table(runs, iterations, study.question)

    log(f'{study.name}: {len(runs)} runs, {len(runs) - len(to_do)} of them done')
    seen: dict[Run, tuple] = {}
    live = Live(table(), console=log.console, auto_refresh=False)
    with live if log.console.is_terminal else nullcontext():
        try:
            for run in to_do:
                launcher.start(run)
            over = False
            while not over:
                over = all(launcher.is_over(run) for run in to_do)
                for run in to_do:
                    state = run.state()
                    now = state['state'], state.get('step')
                    if seen.get(run) != now and now[1] is not None:
                        log(overview.lines([run])[0])
                    seen[run] = now
                if log.console.is_terminal:
                    live.update(table(), refresh=True)
                if not over:
                    time.sleep(_REFRESH)
        finally:
            launcher.stop()
    log(overview.summary(runs, iterations))
