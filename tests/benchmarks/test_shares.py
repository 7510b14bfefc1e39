"""It is told how much of a model's time convolutions, products of matrices and all else take."""

import time

import pytest
import torch
from torch.nn import functional as F

from mmattn.benchmarks.shares import share_paragraphs, share_table, time_shares

SIDE, CHANNELS = 48, 64
RESULTS = {
    'reference': 'mmseg',
    'peak GFLOP/s': {'float32': 170.4},
    'cases': [
        {
            'labels': {'method': method},
            'milliseconds': {'mmseg': [9, 10, 11], 'mmattn': [4, 5, 6]},
            'speed-up': {'mmattn': [1.5, 2.0, 2.5]},
            'shares': {
                'mmseg': {'convolutions': 0.9, 'matrix products': 0, rate: 100},
                'mmattn': {'convolutions': share, 'matrix products': 0.125, rate: 300},
            },
        }
        for rate in ['GFLOP/s of convolutions']
        for method, share in (('danet', 0.5), ('ccnet', 0.125))
    ],
}


def convolution(channels: int = CHANNELS) -> torch.Tensor:
    x = torch.ones(1, channels, SIDE, SIDE)
    return F.conv2d(x, torch.ones(channels, channels, 3, 3), padding=1)


def product(n: int) -> torch.Tensor:
    return torch.ones(n, n) @ torch.ones(n, n)


@pytest.mark.parametrize(
    ('channels', 'n', 'scale', 'seconds', 'most'),
    [
        (256, 4, 1, 0, 'convolutions'),
        (4, 1024, 1, 0, 'matrix products'),
        (4, 4, 1, 0.05, 'all else'),
        (4, 4, 32, 0, 'all else'),
    ],
)
def test_time_is_counted_where_it_is_spent(channels, n, scale, seconds, most):
    def job():
        resized = F.interpolate(convolution(channels), scale_factor=scale, mode='bilinear')
        return resized, product(n), time.sleep(seconds)

    job()
    shares = time_shares(job, 'cpu')
    kinds = {kind: shares[kind] for kind in ('convolutions', 'matrix products')}
    kinds['all else'] = 1 - sum(kinds.values())
    assert max(kinds, key=kinds.get) == most
    assert all(0 <= share <= 1 for share in kinds.values())


def test_convolutions_reach_what_they_compute_in_their_time():
    channels, seconds = 256, []
    x, weight = torch.ones(1, channels, SIDE, SIDE), torch.ones(channels, channels, 3, 3)

    def job():
        start = time.perf_counter()
        F.conv2d(x, weight, padding=1)
        seconds.append(time.perf_counter() - start)

    job()
    rate = time_shares(job, 'cpu')['GFLOP/s of convolutions']
    calls = seconds[1:-1]  # the first warms up, in the last they are counted
    flops = len(calls) * 2 * channels**2 * 9 * SIDE**2
    assert 1 < rate * 1e9 * sum(calls) / flops < 2  # the call itself takes time, too


def test_table_has_a_row_for_each_side():
    heading, theirs, ours, *others = share_table(RESULTS)
    assert heading == [
        *('method', 'side', 'convolutions', 'matrix products', 'all else'),
        'GFLOP/s of convolutions',
    ]
    assert theirs == ['danet', 'mmseg', '90%', '0%', '10%', '100']
    assert ours == ['danet', 'mmattn', '50%', '12%', '38%', '300']
    assert len(others) == 2


def test_page_tells_what_less_of_all_else_could_bring_at_most():
    how, table, limits = share_paragraphs(RESULTS)
    assert 'float32 170' in how and '| danet | mmseg | 90% |' in table
    assert '`mmseg`: `mmattn` 8.00 (' in limits  # the mean of 2 / 0.5 and 2 / 0.125


def test_kinds_whose_jobs_are_no_whole_models_have_no_shares():
    results = {**RESULTS, 'cases': [{'labels': {}, 'milliseconds': {}}]}
    assert share_table(results) == share_paragraphs(results) == []
