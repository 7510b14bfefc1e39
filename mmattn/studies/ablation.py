"""Running a study, and going on with one."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mmattn.engine.lock import sole_run
from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.files import check_writable
from mmattn.studies import overview
from mmattn.studies.checks import check_data_sets, check_variants
from mmattn.studies.evidence import append_run, read_evidence
from mmattn.studies.folder import (
    is_outdated,
    move_aside,
    plan_runs,
    seeds_to_run,
    study_folder,
    take_over,
    write_configs,
    write_note,
)
from mmattn.studies.launchers import LocalLauncher, SlurmLauncher, check_jobs
from mmattn.studies.plan import Study, check_seeds, load_study
from mmattn.studies.runs import DONE, TO_DO, Run

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
    jobs: int | None = None,
    launcher: str = 'local',
    resume: bool = False,
    amp: bool = False,
    work_dir: str | Path | None = None,
    launcher_options: Mapping[str, Any] | None = None,
    append: str | Path | None = None,
) -> Ablation:
    """Train and test every variant of a study from every seed.

    Args:
        study: Study file, or the name of one in `configs/studies`.
        seeds: Default: those of the study; with ``resume``, also those that earlier starts were
            given, and where the first was given some, those alone.
        jobs: Runs at a time on this machine, default 1; they share its cores and GPUs.
        launcher: local, or slurm for a job of Slurm for each run (with submitit).
        resume: Go on with an earlier start: what is done is not repeated, what was interrupted goes
            on from its last checkpoint, what failed is tried again, and a variant whose merged
            config is another now runs anew; its old results are moved to `replaced`.
        amp: Mixed precision, as of `train` and `test`.
        work_dir: Folder of all runs; default `work_dirs/studies/<name of the study>`.
        launcher_options: Parameters of submitit.
        append: CSV file that gets a row of each finished run as it ends, or, where it ended in an
            earlier start without one, now; a row that is there is left alone.

    Raises:
        UserError: Whatever can be known to be wrong before the first run; results of an earlier
            start without ``resume``.
    """
    with separate_run():
        plan = load_study(study)
    folder, named = study_folder(plan, work_dir), seeds is not None
    seeds = tuple(seeds) if named else seeds_to_run(plan, folder, resume)
    check_seeds(seeds)
    if launcher not in LAUNCHERS:
        raise UserError(f'there is no launcher {launcher!r}; there are {", ".join(LAUNCHERS)}')
    if launcher_options and launcher != 'slurm':
        raise UserError(f'--slurm-options have no effect with --launcher {launcher}')
    if jobs is not None and launcher != 'local':
        raise UserError(
            f'--jobs has no effect with --launcher {launcher}, which decides itself how many run '
            'at a time: leave it out'
        )
    check_writable(folder, 'work dir', 'name another with --work-dir')
    if append:
        check_writable(Path(append).parent, 'the folder', 'name another file with --append')
        read_evidence(Path(append))  # a file of something else is told before the first run
    if launcher == 'slurm':
        started = SlurmLauncher(folder / 'slurm', launcher_options or {})
    else:
        started = LocalLauncher(1 if jobs is None else jobs)
    with separate_run(), sole_run(folder):
        take_over(folder, resume, amp)
        runs = plan_runs(plan, folder, seeds, amp)
        check_jobs(started, filter(is_outdated, runs))
        configs = write_configs(plan, folder)
        parameters = check_variants(plan, configs)
        if launcher == 'local':  # that of jobs may lie on their machines alone
            check_data_sets(plan, configs, [run.variant for run in _to_do(runs)])
        for run in runs:
            move_aside(run)
        write_note(folder, amp, seeds, named)
        log = _Log(folder / 'log.txt', Console())
        if not named and set(seeds) != set(plan.seeds):
            log(f'seeds, with those of earlier starts: {", ".join(map(str, seeds))}')
        keep = _Keeper(Path(append), plan, parameters, log) if append else lambda run: None
        _run(plan, runs, started, log, keep)
    return Ablation(plan, folder, runs)


def _to_do(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.state()['state'] != DONE]


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


@dataclass(frozen=True)
class _Keeper:
    """Gives a file of evidence the rows of finished runs."""

    path: Path
    study: Study
    parameters: dict[str, int]
    log: _Log

    def __call__(self, run: Run) -> None:
        try:
            rows = append_run(self.path, self.study, run, self.parameters)
        except (OSError, ValueError) as error:  # no reason to end the runs under way
            self.log(f'{run.name}: no row for {self.path}, --resume --append adds it: {error}')
            return
        if rows is None:
            self.log(f'{run.name}: no row for {self.path}, since the run left no mIoU')
        elif rows[0].miou != rows[1].miou:
            self.log(
                f'{run.name}: {self.path} has a row of this variant, seed and config, with mIoU '
                f'{rows[1].miou:.2f}; it is left as it is'
            )


def _run(
    study: Study,
    runs: list[Run],
    launcher: LocalLauncher | SlurmLauncher,
    log: _Log,
    keep: Callable[[Run], None],
) -> None:
    """Run what is to do, and show how it goes."""
    to_do = _to_do(runs)
    for run in runs:
        if run not in to_do:
            keep(run)
    settings = study.variants[study.baseline].settings
    iterations = (settings.get('train_cfg') or {}).get('max_iters')

    def fitting_table() -> Table:
        return overview.fitting_table(runs, iterations, study.question, log.console)

    log(f'{study.name}: {len(runs)} runs, {len(runs) - len(to_do)} of them done')
    seen: dict[Run, tuple] = {}
    live = Live(fitting_table(), console=log.console, auto_refresh=False)
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
                    if seen.get(run) != now and now[0] != TO_DO:
                        log(overview.lines([run])[0])
                        if now[0] == DONE:
                            keep(run)
                    seen[run] = now
                if log.console.is_terminal:
                    live.update(fitting_table(), refresh=True)
                if not over:
                    time.sleep(_REFRESH)
        finally:
            launcher.stop()
            live.update(overview.table(runs, iterations, study.question))  # it stays: all rows
    log(overview.summary(runs, iterations))
