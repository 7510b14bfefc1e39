"""Where the runs of a study go: processes of this machine, or jobs of Slurm."""

import os
import queue
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from mmattn.errors import UserError, first_line
from mmattn.files import write_atomically
from mmattn.processor import usable_cores
from mmattn.studies.runs import FAILED, RUNNING, TO_DO, Run, execute, read_state


class LocalLauncher:
    """Runs on this machine, some at a time, which share its cores and its GPUs.

    Args:
        jobs: How many at a time.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise UserError(f'--jobs must be at least 1, got {jobs}')
        self.jobs = jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._futures: dict[Run, Future] = {}
        self._processes: set[subprocess.Popen] = set()
        self._stopping = threading.Event()
        self._devices: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in _devices(jobs):
            self._devices.put(device)

    def job_of(self, run: Run) -> str | None:
        """The job of Slurm that may be at a run: an earlier start left it, and it told no end."""
        open_ended = read_state(run.folder)['state'] in (TO_DO, RUNNING)
        return job_note(run).read_text() if open_ended and job_note(run).is_file() else None

    def start(self, run: Run) -> None:
        job_note(run).unlink(missing_ok=True)
        if run.state()['state'] != TO_DO:  # of an earlier start
            run.note(state=TO_DO)
        self._futures[run] = self._pool.submit(self._execute, run)

    def is_over(self, run: Run) -> bool:
        return self._futures[run].done()

    def stop(self) -> None:
        """Have what runs save a checkpoint and end, and wait for it."""
        self._stopping.set()
        for process in list(self._processes):
            if process.poll() is None:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def _execute(self, run: Run) -> None:
        device = self._devices.get()
        environment = thread_variables(os.environ, usable_cores(), self.jobs)
        environment |= {'CUDA_VISIBLE_DEVICES': device} if device else {}
        try:
            execute(run, environment, self._started)
        except Exception as error:  # of the machine, such as a full disk: the others go on
            run.note(state=FAILED, error=f'{type(error).__name__}: {error}')
            raise
        finally:
            self._devices.put(device)

    def _started(self, process: subprocess.Popen) -> None:
        self._processes.add(process)
        if self._stopping.is_set():
            process.terminate()


class SlurmLauncher:
    """Runs as jobs of Slurm, or of another cluster of submitit; they outlive this process.

    Args:
        folder: Shared with the machines of the cluster; gets the logs of submitit.
        options: Parameters of submitit, such as ``timeout_min`` and ``slurm_partition``.
        cluster: Name of submitit's executor.

    Raises:
        UserError: submitit is not installed, there is no such cluster here, or it does not know an
            option.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], cluster: str = 'slurm') -> None:
        try:
            import submitit
        except ImportError as error:
            raise UserError(
                '--launcher slurm needs submitit, which is not installed: pip install submitit '
                '(or mmattn\'s extra "slurm")'
            ) from error
        self._submitit = submitit
        self._folder = folder.resolve()
        self._cluster = cluster
        try:
            self._executor = submitit.AutoExecutor(folder=self._folder, cluster=cluster)
        except RuntimeError as error:
            raise UserError(
                f'--launcher {cluster} is not possible here: {first_line(error)}; start it on a '
                'machine of the cluster, or leave --launcher out'
            ) from error
        try:
            self._executor.update_parameters(**options)
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise UserError(f'--slurm-options: {first_line(error)}') from error
        self._jobs: dict[Run, Any] = {}

    def job_of(self, run: Run) -> str | None:
        """The job of an earlier start that waits or is at a run."""
        job = self._earlier(run)
        return job and job.job_id

    def start(self, run: Run) -> None:
        job = self._earlier(run)
        if job is None:
            run.note(state=TO_DO)  # of these settings, as long as the job waits
            job = self._executor.submit(execute, run)
            write_atomically(job_note(run), job.job_id.encode())
        self._jobs[run] = job

    def _earlier(self, run: Run) -> Any:
        if self._cluster != 'slurm' or not job_note(run).is_file():
            return None
        job = self._submitit.SlurmJob(folder=self._folder, job_id=job_note(run).read_text())
        return None if job.done() else job

    def is_over(self, run: Run) -> bool:
        if not self._jobs[run].done():
            return False
        if run.state()['state'] in (TO_DO, RUNNING):  # the job ended without a word
            run.note(state=FAILED, error=f'job {self._jobs[run].job_id} ended before the run did')
        return True

    def stop(self) -> None:
        """Leave the jobs alone: a later start finds them."""


def job_note(run: Run) -> Path:
    """Holds the job of a run; beside the state file, which the job writes."""
    return run.folder / 'job'


def check_jobs(launcher: LocalLauncher | SlurmLauncher, runs: Iterable[Run]) -> None:
    """Raise UserError where a job may still write into the folder of a run.

    Args:
        launcher: Which knows of jobs.
        runs: Those whose folders are to be moved.
    """
    found = {run: job for run in runs if (job := launcher.job_of(run))}
    if found:
        jobs, names = ' '.join(found.values()), ', '.join(run.name for run in found)
        raise UserError(
            f'jobs {jobs} of Slurm may still be at runs with earlier settings ({names}): end them '
            f'(scancel {jobs}) and start again; where a job is long gone, remove the file that '
            f'names it, such as {job_note(next(iter(found)))}'
        )


def thread_variables(environment: Mapping[str, str], cores: int, jobs: int) -> dict[str, str]:
    """Variables by which runs side by side share the cores; what the user has set stays.

    Threads that wait give their core to others: else several busy processes slow each other down.
    """
    variables = {'OMP_NUM_THREADS': str(max(1, cores // jobs)), 'OMP_WAIT_POLICY': 'passive'}
    return {key: value for key, value in variables.items() if key not in environment}


def _devices(jobs: int) -> Sequence[str]:
    """The GPU of each of the runs at a time; '' where all see what this process sees."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    found = named.split(',') if named else [str(i) for i in range(torch.cuda.device_count())]
    if jobs == 1 or not torch.cuda.is_available():
        return [''] * jobs
    return [found[slot % len(found)] for slot in range(jobs)]
