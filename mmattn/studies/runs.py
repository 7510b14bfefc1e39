"""One run of a study: a process that trains, then one that tests, and a file that says how far."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mmattn
from mmattn.engine.lock import start_of
from mmattn.engine.record import run_checkpoints
from mmattn.files import write_atomically
from mmattn.parent import PARENT
from mmattn.provenance import commit, device_name

TO_DO, RUNNING, DONE, FAILED, STOPPED = 'to do', 'running', 'done', 'failed', 'stopped'
# What a command that was asked to end exits with: a training after it has saved, others at once.
_ASKED_TO_END = (75, 130, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)
_MEASURED = ('metrics', 'class_iou')  # keys of the metrics that the test writes, and of the state
_BETWEEN_NOTES = 5.0  # seconds of a command that are lost at most where its study is killed
_PATIENCE = 120  # seconds in which a process that was asked to end may save a checkpoint
_ERROR = re.compile(r'error: |[\w.]*(Error|Exception)\b')


@dataclass(frozen=True)
class Run:
    """A variant from a seed.

    Attributes:
        variant, seed: Which.
        folder: Of all that it writes; `train` in it is the work dir of the training.
        config: The merged config of the variant.
        digest: Of the config, wherever its data lies, and of the options; results of another digest
            are not of this run.
        earlier_digest: What earlier versions noted, where the place of the data counts.
        amp: Mixed precision.
        counts_images: Whether the metric can write the areas of each image.
    """

    variant: str
    seed: int
    folder: Path
    config: Path
    digest: str
    earlier_digest: str
    amp: bool
    counts_images: bool

    @property
    def name(self) -> str:
        return f'{self.variant} seed {self.seed}'

    @property
    def work_dir(self) -> Path:
        return self.folder / 'train'

    @property
    def predictions(self) -> Path:
        return self.folder / 'predictions'

    @property
    def log(self) -> Path:
        return self.folder / 'log.txt'

    @property
    def checkpoint(self) -> Path | None:
        """The last one, wherever the folder is now; None before the training is done."""
        noted = self.state().get('checkpoint')  # of earlier versions: as seen from the start
        return self.work_dir / Path(noted).name if noted else None

    def state(self) -> dict[str, Any]:
        """What the state file says; a run without one, or with one of other settings, is to do."""
        state = read_state(self.folder)
        return state if self.made(state) else {'state': TO_DO}

    def made(self, state: dict[str, Any]) -> bool:
        """Whether a state is of the settings of this run."""
        return state.get('digest') in (self.digest, self.earlier_digest)

    def note(self, **changes: Any) -> None:
        """Change the state file, in one step."""
        state = {**self.state(), 'digest': self.digest, **changes}
        write_atomically(
            self.folder / 'state.json', json.dumps(state, indent=1).encode(), durable=True
        )

    def metrics(self) -> dict[str, Any] | None:
        """What the test has measured: metrics, and IoU of classes; None before it has.

        They are in the state file, so that the predictions can be deleted.
        """
        state = self.state()
        measured = state['state'] == DONE and state.get('metrics')
        return {key: state[key] for key in _MEASURED} if measured else None

    def written_metrics(self) -> dict[str, Any] | None:
        """Metrics, and IoU of classes, as the test left them; None where they are gone."""
        try:
            written = json.loads((self.predictions / 'metrics.json').read_bytes())
            return {key: written[key] for key in _MEASURED}
        except (OSError, ValueError, KeyError):
            return None


def read_state(folder: Path) -> dict[str, Any]:
    """The state file in the folder of a run; to do where there is none, or none of ours."""
    try:
        state = json.loads((folder / 'state.json').read_bytes())
    except (OSError, ValueError):
        return {'state': TO_DO}
    return state if isinstance(state, dict) and 'state' in state else {'state': TO_DO}


def execute(
    run: Run,
    environment: dict[str, str] | None = None,
    on_start: Callable[[subprocess.Popen], None] = lambda process: None,
) -> None:
    """Train and test a run, from where it was; the state file says what came of it.

    Args:
        run: Which.
        environment: Variables for its processes, beside those of this one.
        on_start: Is told of each process.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    end_what_is_left(run)
    run.note(state=RUNNING, error=None, began=time.time(), **_origin(run))
    trained = run.state().get('trained') and run_checkpoints(run.work_dir)
    for step in ('test',) if trained else ('train', 'test'):
        code, error = _step(run, step, environment, on_start)
        if code:
            run.note(state=state_after(code), error=error)
            return
        checkpoints = run_checkpoints(run.work_dir)
        if not checkpoints:
            run.note(state=FAILED, error=f'the training left no checkpoint in {run.work_dir}')
            return
        run.note(trained=True, checkpoint=str(checkpoints[-1].relative_to(run.folder)))
    run.note(state=DONE, ended=time.time(), **(run.written_metrics() or {}))


def _origin(run: Run) -> dict[str, str]:
    """What runs, and where; of a run that goes on with something else, both."""
    device = device_name('cuda' if torch.cuda.is_available() else 'cpu')
    now, before = {'commit': commit(), 'machine': device}, run.state()
    return {
        key: value if value in (known := before.get(key) or value) else f'{known} + {value}'
        for key, value in now.items()
    }


def _step(
    run: Run,
    step: str,
    environment: dict[str, str] | None,
    on_start: Callable[[subprocess.Popen], None],
) -> tuple[int, str]:
    """Run one command to its end: its exit code, and the last line of its error."""
    path = os.pathsep.join(
        filter(None, (str(Path(mmattn.__file__).parents[1]), os.environ.get('PYTHONPATH')))
    )
    variables = {**os.environ, **(environment or {}), 'PYTHONPATH': path, PARENT: str(os.getpid())}
    command = [sys.executable, '-m', 'mmattn.cli', *_arguments(run, step)]
    with run.log.open('ab') as log:
        log.write(f'$ mmattn {" ".join(command[3:])}\n'.encode())
        log.flush()
        begin = log.tell()
        # A session of its own: Ctrl+C reaches this process alone, which ends the others in order.
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=variables, start_new_session=True
        )
        on_start(process)
        run.note(
            step=step, host=socket.gethostname(), pid=process.pid, started=start_of(process.pid)
        )
        code = _wait(run, step, process)
    return code, last_error(run.log.read_bytes()[begin:].decode(errors='replace'), code)


def _wait(run: Run, step: str, process: subprocess.Popen) -> int:
    """The exit code of a command; the state file says how long it took, in all starts.

    It says so while the command runs, too: this process may be killed at any time.
    """
    key = f'{step}_seconds'
    before, began, code = run.state().get(key, 0), time.monotonic(), None
    while code is None:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_BETWEEN_NOTES)
        with suppress(OSError):  # a full disk: the command may yet end well
            run.note(**{key: round(before + time.monotonic() - began, 1)})
    return code


def _arguments(run: Run, step: str) -> list[str]:
    amp = ['--amp'] if run.amp else []
    if step == 'train':
        resume = ['--resume'] if run_checkpoints(run.work_dir) else []
        place = [str(run.config), '--work-dir', str(run.work_dir)]
        return ['train', *place, '--seed', str(run.seed), *amp, *resume]
    # The last one, not the best: the best was chosen on the images that it would be scored on.
    place = [str(run.config), str(run_checkpoints(run.work_dir)[-1])]
    place += ['--work-dir', str(run.folder / 'test'), '--out', str(run.predictions)]
    # As a literal: of plain text, commas would make a list, and blanks get lost.
    evaluator = f'test_evaluator={dict(images=True, report=str(run.folder))}'
    return ['test', *place, *amp, *(['--cfg-options', evaluator] if run.counts_images else [])]


def state_after(code: int) -> str:
    """The state of a run whose command has ended with a code other than 0."""
    return STOPPED if code in _ASKED_TO_END else FAILED


def last_error(output: str, code: int) -> str:
    """The last line of what a command printed that tells its error, or what else ended it."""
    if code < 0:
        return f'killed by {signal.Signals(-code).name}'
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if _ERROR.match(line)]
    return (told or lines or [f'exit code {code}'])[-1]


def end_what_is_left(run: Run) -> None:
    """End the process of an earlier start that outlived it, as it can outside Linux."""
    state = read_state(run.folder)
    pid = state.get('pid')
    if state.get('host') != socket.gethostname() or not pid:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE
        if not _lives(pid, state.get('started')):
            return
        os.kill(pid, number)
        while _lives(pid, state.get('started')) and time.monotonic() < deadline:
            time.sleep(0.1)


def _lives(pid: int, started: str | None) -> bool:
    """Whether the process that began then lives; False where the system tells no starts."""
    return bool(started) and start_of(pid) == started
