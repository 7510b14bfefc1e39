"""Results become tables, a page and a picture."""

import copy
import json

import pytest

from mmattn.benchmarks import attention
from mmattn.benchmarks.tables import aligned, markdown
from mmattn.benchmarks.writing import render, slug, table, write

RESULTS = {
    'kind': 'heads',
    'device': 'Some(R) CPU, 2 cores',
    'threads': 2,
    'load': 0.25,
    'rounds': 3,
    'versions': {'mmattn': '1.0', 'cuda': None},
    'reference': 'mmseg',
    'command': 'mmattn benchmark heads',
    'cases': [
        {
            'labels': {'method': 'danet', 'maps': '8x8'},
            'milliseconds': {'mmseg': [9.0, 10.0, 11.0], 'mmattn': [4.0, 5.0, 6.0]},
            'speed-up': {'mmattn': [1.5, 2.0, 2.5]},
            'memory': {'mmseg': 2**22, 'mmattn': 2**20},
            'macs': {'mmseg': 1e9, 'mmattn': 1e9},
        },
        {
            'labels': {'method': 'fla', 'maps': '8x8'},
            'milliseconds': {'mmattn': [4.0, 5.0, 6.0]},
            'memory': {'mmattn': 2**20},
        },
    ],
}


def test_table_has_a_row_for_each_side_but_the_reference():
    heading, danet, fla = table(RESULTS)
    assert heading == [
        *('method', 'maps', 'side', 'ms', 'mmseg: ms', 'times as fast', 'extra MiB'),
        *("of mmseg's", 'multiply-adds', 'GFLOP/s'),
    ]
    assert danet == [
        *('danet', '8x8', 'mmattn', '5.0 (4.0 to 6.0)', '10 (9.0 to 11)', '2.0 (1.5 to 2.5)'),
        *('1.0', '0.25', '1.0 G', '400'),
    ]
    assert fla == ['fla', '8x8', 'mmattn', '5.0 (4.0 to 6.0)', '', '', '1.0', '', '', '']


def test_tables_for_pages_and_terminals():
    rows = [['a', 'long'], ['bcd', 'x']]
    assert markdown(rows) == '| a | long |\n| --- | --- |\n| bcd | x |'
    assert aligned(rows) == 'a    long\nbcd  x'


def test_page_tells_how_it_was_measured():
    page = render(RESULTS, 'heads.png')
    assert '`mmattn benchmark heads`' in page
    assert 'in the minute before was 0.2 processes' in page
    assert 'mmattn 1.0; command' in page
    assert '(heads.png)' in page
    assert '| danet | 8x8 | mmattn | 5.0 (4.0 to 6.0) |' in page


def test_files_are_written_and_replaced(tmp_path):
    for load in (0.25, 3.0):
        files = write({**RESULTS, 'load': load}, tmp_path)
        assert sorted(file.name for file in files) == ['heads.json', 'heads.md', 'heads.png']
        assert sorted(tmp_path.iterdir()) == sorted(files)
        assert json.loads((tmp_path / 'heads.json').read_text())['load'] == load
    assert (tmp_path / 'heads.png').read_bytes().startswith(b'\x89PNG')
    assert '3.0 processes' in (tmp_path / 'heads.md').read_text()


def test_without_comparisons_there_is_no_picture(tmp_path):
    write(RESULTS, tmp_path)
    results = {**RESULTS, 'cases': RESULTS['cases'][1:]}
    files = write(results, tmp_path)
    assert [file.suffix for file in files] == ['.json', '.md']
    assert not (tmp_path / 'heads.png').exists()
    assert 'png' not in (tmp_path / 'heads.md').read_text()


@pytest.mark.parametrize(
    ('device', 'folder'),
    [
        ('Intel(R) Xeon(R) Processor (AVX512), 2 cores', 'intel-xeon-processor-avx512'),
        ('AMD EPYC (AVX512, bfloat16), 2 cores', 'amd-epyc-avx512-bfloat16'),
        ('Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz (AVX2), 12 cores', 'intel-core-i7-8700-cpu-avx2'),
        ('NVIDIA H200', 'nvidia-h200'),
    ],
)
def test_folder_is_named_after_the_processor(device, folder):
    assert slug(device) == folder


def blocks(size: str, name: str, **factors: float) -> dict:
    """A case of attention, of blocks that cost so many times what the non-local block does."""
    factors = {'NonLocal2d': 1, **factors}
    return {
        'labels': {'type': 'float32', 'map': size, 'pass': name},
        'milliseconds': {block: [100 * factor] * 3 for block, factor in factors.items()},
        'memory': {block: int(2**30 * factor) for block, factor in factors.items()},
        'macs': {block: 1e9 * factor for block, factor in factors.items()},
    }


@pytest.mark.parametrize(('factor', 'verdict'), [(1 / 30, 'holds'), (1 / 20, 'does not hold')])
def test_claims_of_papers_are_held_against_the_figures(factor, verdict):
    cases = [blocks('128x256', 'forward', APNB=factor)]
    findings = '\n'.join(attention.findings({'cases': cases}))
    expected = f'says 28.0 times less memory. Here: forward: {1 / factor:.1f} times less memory'
    assert f'{expected}, {verdict}.' in findings
    assert 'CCNet, `CrissCross` against `keys of C/8` on 97x97, says 11.0 times' in findings
    assert 'says 85% fewer multiply-adds. Here: not measured.' in findings


@pytest.mark.parametrize(('share', 'verdict'), [(0.153, 'holds'), (0.158, 'does not hold')])
def test_fewer_multiply_adds_are_told_and_compared_in_percent(share, verdict):
    case = {**blocks('97x97', 'forward', CrissCross=1)}
    case['macs'] = {'keys of C/8': 1e9, 'CrissCross': share * 1e9}
    findings = '\n'.join(attention.findings({'cases': [case]}))
    said = f'says 85% fewer multiply-adds. Here: forward: {1 - share:.0%} fewer multiply-adds'
    assert f'{said}, {verdict}.' in findings


def test_growth_is_fitted_to_the_square_maps():
    cases = []
    for side in (16, 32, 64):
        for name in ('forward', 'forward+backward'):
            case = blocks(f'{side}x{side}', name)
            for costs in (case['milliseconds'], case['memory']):
                value = copy.copy(costs['NonLocal2d'])
                scale = side**4  # (HW)^2
                costs['NonLocal2d'] = [scale] * 3 if isinstance(value, list) else scale * 2**20
            cases.append(case)
    cases.append(blocks('16x32', 'forward'))
    assert '| NonLocal2d | 2.00 | 2.00 | 2.00 | 2.00 |' in attention.findings({'cases': cases})[1]
