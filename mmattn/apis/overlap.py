"""Reading and writing beside the network's work."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')
THREADS = 2


def in_threads(
    function: Callable[[T], R], items: Iterable[T], ahead: int = 4, threads: int = THREADS
) -> Iterator[R]:
    """What ``function`` returns for each item, in order, computed in threads.

    The items are taken in the caller's thread, and at most ``ahead`` of them are under way, so that
    neither what is read nor what waits to be written fills the memory. An error comes out in the
    place of the item that it is of, also where the item cannot be taken. The threads end with the
    iterator. A single one takes the items in order.
    """
    pool = ThreadPoolExecutor(threads)
    under_way: deque[Future[R]] = deque()
    try:
        for result in _submitted(pool, function, items):
            under_way.append(result)
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[Future[R]]:
    try:
        for item in items:
            yield pool.submit(function, item)
    except Exception as error:
        failed: Future[R] = Future()
        failed.set_exception(error)
        yield failed
