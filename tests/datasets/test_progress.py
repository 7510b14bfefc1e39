"""What long loops over files tell the reader of a log."""

import re
import time

from mmattn.datasets.progress import track


def test_log_gets_counts_and_time_left_now_and_then(capfd):
    def slow(count):
        for item in range(count):
            time.sleep(0.02)
            yield item

    assert list(track(slow(5), 5, 'reading', log_every=0.03)) == [0, 1, 2, 3, 4]
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 5
    assert all(line.startswith('reading: ') and '/5, ETA 0:0' in line for line in lines)


def test_short_loops_stay_quiet_in_a_log(capfd):
    assert list(track('abc', 3, 'reading')) == ['a', 'b', 'c']
    assert capfd.readouterr().err == ''


def test_the_rate_and_loops_of_unknown_length_are_told(capfd):
    def slow(count):
        for item in range(count):
            time.sleep(0.02)
            yield item

    list(track(slow(3), None, 'camera', log_every=0.01, rate_of='frames'))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(r'camera: \d, \d+\.\d frames/s', line) for line in lines)
