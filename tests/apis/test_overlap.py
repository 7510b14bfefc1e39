"""Work in threads keeps its order, is bounded, and hides no error."""

import time

import pytest

from mmattn.apis.overlap import in_threads


def test_results_come_in_order_and_little_is_read_ahead():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    def work(item):
        time.sleep(0.01 if item % 2 else 0)
        return item * 2

    results = in_threads(work, items(), ahead=3)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert len(taken) <= 5 + 3
    assert list(results) == [2 * item for item in range(5, 100)]


def test_an_error_comes_out_in_its_place():
    results = in_threads(lambda item: 1 // item, [2, 1, 0, 1])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_error_of_what_is_read_comes_out():
    def items():
        yield 1
        raise KeyError('broken')

    with pytest.raises(KeyError):
        list(in_threads(str, items()))


def test_results_before_an_item_that_cannot_be_read_come_out_first():
    def items():
        yield 1
        yield 2
        raise KeyError('broken')

    results = in_threads(str, items(), ahead=4)
    assert [next(results), next(results)] == ['1', '2']
    with pytest.raises(KeyError, match='broken'):
        next(results)


def test_a_single_thread_takes_items_in_order():
    begun = []

    def work(item):
        time.sleep(0.01 if item % 2 else 0)
        begun.append(item)

    list(in_threads(work, range(20), threads=1))
    assert begun == list(range(20))
