"""Signals that end a training: it saves what it has, and its exit code says why it ended.

SIGTERM and SIGHUP, by which clusters pre-empt, give exit code 75 (of sysexits.h: try again later);
SIGINT, by Ctrl+C, gives 130.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODES = {signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGINT: 130}


class StopRequest:
    """Whether a signal has asked the process to end.

    As long as it is not ``deferred`` a signal ends the process at once. A training defers it, to
    end after an iteration with everything saved; a second SIGINT ends it even so. Not with several
    processes, where a launcher repeats the signal that the terminal has sent already.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False
        self._pid = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked worker: it ends with its parent
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        again = self.received is not None
        self.received = self.received or number
        if not self.deferred:
            self.leave('ended')
        if again and number == signal.SIGINT and os.environ.get('WORLD_SIZE', '1') == '1':
            self.leave('ended at once')
        if not again:
            _say(f'{self.name}: saving a checkpoint after this iteration')

    @property
    def name(self) -> str:
        return signal.Signals(self.received or signal.SIGTERM).name

    def leave(self, how: str) -> None:
        """End the process by an exception, as the signal asks.

        Raises:
            KeyboardInterrupt: For SIGINT.
            SystemExit: For others, with the exit code.
        """
        _say(f'{self.name}: {how}')
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(EXIT_CODES[self.received or signal.SIGTERM])


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Handle the signals in a block; afterwards they are handled as before.

    Outside the main thread, which alone gets signals, nothing changes. One that is ignored, such as
    SIGHUP under nohup, stays so.
    """
    request = StopRequest()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in EXIT_CODES:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # None: not set from Python
                before[number] = handler
                signal.signal(number, request)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outlive_signals() -> None:
    """Have a worker of a data loader end by its parent alone, not by a signal to all processes.

    A terminal, and Slurm, signal workers too; without them the parent could not end in order.
    """
    if hasattr(signal, 'sigwaitinfo'):
        signal.pthread_sigmask(signal.SIG_BLOCK, EXIT_CODES)
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo(EXIT_CODES).si_pid != os.getppid():
        pass
    os._exit(0)


def _say(text: str) -> None:
    os.write(2, f'{text}\n'.encode())  # print may be what the signal has interrupted
