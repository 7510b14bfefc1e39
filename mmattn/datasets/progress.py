"""Progress with ETA for loops over files: live on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar('T')


def track(
    items: Iterable[T],
    total: int | None,
    title: str,
    log_every: float = 10.0,
    rate_of: str = '',
) -> Iterator[T]:
    """Yield the items; tell on stderr how many of ``total`` are done and the time left.

    Short loops stay quiet in a log: the first line comes after ``log_every`` seconds.

    Args:
        items: What the loop goes over.
        total: How many they are; None where nobody knows.
        title: What is done to them.
        log_every: Seconds between the lines of a log.
        rate_of: What they are called, to tell how many of them are done in a second.
    """
    live = sys.stderr.isatty()
    start = told = time.monotonic()
    try:
        for done, item in enumerate(items, start=1):
            yield item
            now = time.monotonic()
            if now - told >= (0.2 if live else log_every) or (live and done == total):
                told = now
                line = f'{title}: {done}'
                if total is not None:
                    left = (now - start) / done * (total - done)
                    line += f'/{total}, ETA {int(left // 60)}:{int(left % 60):02d}'
                if rate_of:
                    line += f', {done / (now - start):.1f} {rate_of}/s'
                print(
                    f'\r{line}\033[K' if live else line, end='' if live else '\n', file=sys.stderr
                )
                sys.stderr.flush()
    finally:
        if live:
            print(file=sys.stderr)  # what follows, an error perhaps, gets a line of its own
