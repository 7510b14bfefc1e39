"""`mmattn convert`: mistakes end in one line, and what it prints."""

import pytest
import torch

from mmattn.cli import main
from tests.apis.original_layouts import OriginalResNet


@pytest.fixture
def resnet(tmp_path):
    file = tmp_path / 'resnet50.pth'
    torch.save(OriginalResNet().state_dict(), file)
    return file


def test_it_prints_what_became_of_the_file(capsys, resnet, tmp_path):
    out = tmp_path / 'new' / 'backbone.pth'
    main(['convert', '--from', 'torchvision', str(resnet), str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        'mapped: 318 entries',
        'missing: none',
        'not needed: none',
        'unexpected, and left out: none',
    ]
    assert 'model.backbone.type=ResNet ' in lines[4]
    assert lines[-1] == (
        f'written: {out}; to train from it, add --cfg-options model.pretrained={out}'
    )
    assert out.is_file()


@pytest.mark.parametrize(
    ('source', 'name', 'options', 'message'),
    [
        ('danet', 'resnet50.pth', (), 'it looks like --from torchvision or timm'),
        ('timm', 'missing.pth', (), 'is not a file'),
        ('timm', 'text.pth', (), 'cannot be read as a PyTorch checkpoint'),
        ('timm', 'empty.pth', (), 'holds no weights'),
        ('timm', 'numbers.pth', (), 'holds no weights'),
        ('timm', 'resnet50.pth', ('--config', 'missing.py'), 'missing.py not found'),
        ('timm', 'resnet50.pth', ('--cfg-options', 'model.a=1'), 'give it with --config'),
        ('keras', 'resnet50.pth', (), 'invalid choice'),
    ],
)
def test_mistakes_are_told_in_one_line(capsys, resnet, tmp_path, source, name, options, message):
    (tmp_path / 'text.pth').write_text('no weights')
    torch.save({'state_dict': {'epoch': 1}}, tmp_path / 'empty.pth')
    torch.save({1: torch.zeros(2)}, tmp_path / 'numbers.pth')
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit) as exit:
        main(['convert', '--from', source, str(tmp_path / name), str(out), *options])
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not out.exists()
