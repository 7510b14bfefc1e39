"""`mmattn tune` as a process."""

from .conftest import REPO


def test_a_model_is_tuned_shown_and_forgotten(mmattn, trained_model, environment, tmp_path):
    image = next((REPO / environment['MMATTN_DATA']).rglob('leftImg8bit/val/**/*.png'))
    count = len(list(image.parent.iterdir()))
    # As on a machine without a compiler: torch.compile takes long where there is one.
    env = dict(MMATTN_CACHE=str(tmp_path), CXX='/nowhere/c++', CUDA_VISIBLE_DEVICES='')
    env['TORCHINDUCTOR_CACHE_DIR'] = str(tmp_path / 'inductor')
    result = mmattn('tune', *trained_model, image.parent, '--seconds', 0, **env)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    heading, first, *_, last = result.stdout.splitlines()
    assert heading.split() == [
        *('network', 'times', 'as', 'fast', 'equal', 'labels', f'({count}', 'images)', 'start')
    ]
    assert first.split()[0] == 'optimized' and first.split()[3] == '1.00'
    (reason,) = [line for line in result.stdout.splitlines() if 'left out: compiled: ' in line]
    assert 'No working C++ compiler' in reason
    assert last.startswith('the choice for 1x3x48x96, ') and last.endswith('.json)')

    shown = mmattn('tune', '--show', **env)
    assert shown.returncode == 0, shown.stderr
    heading, row, last = shown.stdout.splitlines()
    assert row.split()[0] == 'small' and '1x3x48x96' in row and 'torch' in row
    assert last == f'in {tmp_path / "tuned"}'

    assert mmattn('tune', '--forget', **env).returncode == 0
    shown = mmattn('tune', '--show', **env)
    assert shown.stdout == f'nothing is remembered in {tmp_path / "tuned"}\n'


def test_without_an_image_the_command_says_what_it_takes(mmattn, trained_model):
    result = mmattn('tune', *trained_model)
    assert (result.returncode, result.stderr) == (
        2,
        'error: give CONFIG CHECKPOINT IMAGE; or --show, or --forget\n',
    )
