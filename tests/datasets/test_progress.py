"""What long loops over files tell the reader of a log."""

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
