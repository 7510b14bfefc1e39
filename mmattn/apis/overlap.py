"""Reading and writing beside the network's work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')
THREADS = 2


def in_threads(function: Callable[[T], R], items: Iterable[T], ahead: int = 4) -> Iterator[R]:
    """What ``function`` returns for each item, in order, computed in threads.

    The items are taken in the caller's thread, and at most ``ahead`` of them are under way, so that
    neither what is read nor what waits to be written fills the memory. An error comes out in the
    place of the item that it is of.
    """
    pool = ThreadPoolExecutor(THREADS)
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
