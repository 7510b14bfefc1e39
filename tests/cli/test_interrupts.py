"""What a command says when Ctrl+C ends it."""

import pytest

from mmattn.cli import main

ARGUMENTS = {
    'train': ['config.py'],
    'ablate': ['study.py'],
    'predict': ['config.py', 'weights.pth', 'image.png'],
    'cost': ['config.py'],
    'convert': ['--from', 'danet', 'theirs.pth', 'ours.pth'],
}


@pytest.mark.parametrize(
    ('command', 'line'),
    [
        ('train', 'interrupted; a training goes on with --resume'),
        ('ablate', 'interrupted; a training goes on with --resume'),
        ('predict', 'interrupted; --overwrite replaces the files that it has written'),
        ('cost', 'interrupted'),
        ('convert', 'interrupted'),
    ],
)
def test_the_way_on_is_that_of_the_command(command, line, monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(f'mmattn.cli.{command}.run', interrupted)
    with pytest.raises(SystemExit) as ended:
        main([command, *ARGUMENTS[command]])
    assert ended.value.code == 130
    assert capsys.readouterr().err == f'{line}\n'
