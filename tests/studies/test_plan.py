"""A study file becomes variants with merged configs, or is refused."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.preflight.config import CONFIGS
from mmattn.studies.ablation import ablate
from mmattn.studies.checks import check_data_sets, check_variants
from mmattn.studies.plan import Study, flatten, load_study

(BASE,) = CONFIGS.glob('danet/danet_r18-d8_*_toy-128x256.py')
STUDIES = sorted(CONFIGS.glob('studies/*.py'))
(OTHER,) = CONFIGS.glob('ccnet/ccnet_r18-d8_*_toy-128x256.py')
PLUGIN = "[dict(cfg=dict(type='SE'), position='after_conv2')]"


def write(folder: Path, text: str) -> Path:
    file = folder / 'question.py'
    base = os.path.relpath(BASE, folder)
    file.write_text(f"question = 'What?'\nbase = '{base}'\nbaseline = 'none'\n{text}\n")
    return file


def head_type(study, name: str) -> str:
    return study.variants[name].settings['model']['decode_head']['type']


def test_overrides_are_merged_as_options_are(tmp_path):
    study = load_study(
        write(
            tmp_path,
            "options = {'train_cfg.max_iters': 7, 'model.backbone': dict(type='AttnResNetV1c')}\n"
            'variants = dict(none=dict(), '
            f"se={{'model.backbone.plugins': {PLUGIN}}}, "
            "bam={'model.backbone': dict(type='ResNetV1c', plugins=None), 'train_cfg': "
            'dict(max_iters=9)})',
        )
    )
    expected = Config.fromfile(BASE)
    expected.merge_from_dict(
        {
            'train_cfg.max_iters': 7,
            'model.backbone.type': 'AttnResNetV1c',
            'model.backbone.plugins': [dict(cfg=dict(type='SE'), position='after_conv2')],
        }
    )
    settings = study.variants['se'].settings
    assert list(study.variants) == ['none', 'se', 'bam']
    assert settings['model'] == expected.to_dict()['model']
    assert settings['train_cfg'] == expected.to_dict()['train_cfg']
    assert study.variants['bam'].settings['train_cfg']['max_iters'] == 9
    assert study.variants['bam'].settings['model']['backbone']['type'] == 'ResNetV1c'


def test_a_variant_may_be_a_config_of_its_own(tmp_path):
    other = os.path.relpath(OTHER, tmp_path)
    options = "options = {'train_cfg.max_iters': 7}"
    study = load_study(write(tmp_path, f"{options}\nvariants = dict(none={{}}, cc='{other}')"))
    assert (head_type(study, 'none'), head_type(study, 'cc')) == ('DANetHead', 'CCNetHead')
    assert study.variants['cc'].settings['train_cfg']['max_iters'] == 7


def test_a_grid_is_the_product_of_its_axes(tmp_path):
    other = os.path.relpath(OTHER, tmp_path)
    study = load_study(
        write(
            tmp_path,
            f"variants = dict(none={{}})\ngrid = [dict(da={{}}, cc='{other}'), "
            "dict(short={'train_cfg.max_iters': 3}, long={'train_cfg.max_iters': 8})]",
        )
    )
    assert list(study.variants) == ['none', 'da-short', 'da-long', 'cc-short', 'cc-long']
    assert head_type(study, 'cc-long') == 'CCNetHead'
    assert study.variants['cc-long'].settings['train_cfg']['max_iters'] == 8


def test_the_written_config_says_the_same(tmp_path):
    study = load_study(
        write(tmp_path, f"variants = dict(none={{'model.backbone.plugins': {PLUGIN}}})")
    )
    (tmp_path / 'none.py').write_text(study.variants['none'].text)
    read = Config.fromfile(tmp_path / 'none.py', import_custom_modules=False).to_dict()
    assert read == study.variants['none'].settings


def test_the_digest_follows_the_settings_alone(tmp_path):
    def digests(text: str) -> dict[str, str]:
        return {
            name: each.digest for name, each in load_study(write(tmp_path, text)).variants.items()
        }

    before = digests('variants = dict(none={}, a={"train_cfg.max_iters": 5})')
    same = digests('variants = dict(a={"train_cfg": dict(max_iters=5)}, none={}, b={})')
    changed = digests('variants = dict(none={}, a={"train_cfg.max_iters": 6})')
    assert before.items() <= same.items()
    assert same['b'] == same['none']
    assert changed['none'] == before['none'] and changed['a'] != before['a']


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('variants = dict(a=dict())', "baseline 'none' is none of its variants: a"),
        ('variants = dict(none=dict())\nvariant = 3', "did you mean 'variants'"),
        ('', 'has no variants'),
        ("variants = dict(none='nowhere.py')", 'there is no config'),
        ('variants = {"none": {}, "../x": {}}', 'names a folder'),
        ('variants = dict(none={}, report={})', 'names a folder'),
        ('variants = dict(none=3)', 'dict of overrides or the path'),
        ('variants = dict(none={"crop": 3})', "does not read 'crop'"),
        ('variants = dict(none={"model.decode_head.type.x": 3})', 'cannot be merged'),
        ('variants = dict(none={})\nseeds = [1, 1]', 'different whole numbers'),
        ('variants = dict(none=1 / 0)', 'line 4'),
        ('variants = dict(none={})\nseeds = 3', r'seeds must be a list of whole numbers.* got 3'),
        ('variants = ["none"]', 'variants must be a dict of name to overrides'),
        ('grid = dict(none={})', 'grid must be a list of dicts'),
        ('grid = ["none"]', 'grid must be a list of dicts'),
        ('variants = dict(none={})\nclass_groups = ["car"]', 'class_groups must be a dict of name'),
        ('variants = dict(none={})\nclass_groups = dict(a="car")', 'class_groups must be a dict'),
        ('variants = dict(none={})\nseeds = [2**32]', 'from 0 to 4294967295, got'),
        ("grid = [dict(none='a.py'), dict(x='b.py')]", "'none-x' of the grid .* a.py and b.py"),
        ('variants = {"a-b": {}}\ngrid = [dict(a={}), dict(b={})]', "two .* the name 'a-b'"),
        ('grid = [{"a": {}, "a-b": {}}, {"b-c": {}, "c": {}}]', "two .* the name 'a-b-c'"),
        ('variants = dict(none={})\nbase = 5', 'base must be a text, got 5'),
        ('variants = dict(none={})\noptions = 5', 'options must be a dict of overrides'),
    ],
)
def test_mistakes_are_told(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        load_study(write(tmp_path, text))


def test_a_type_that_does_not_exist_is_told_with_its_variant(tmp_path):
    study = load_study(
        write(tmp_path, 'variants = dict(none={"model.decode_head.type": "DNAHead"})')
    )
    path = tmp_path / 'none.py'
    path.write_text(study.variants['none'].text)
    with pytest.raises(UserError, match="variant 'none' of study question: .*DNAHead"):
        check_variants(study, {'none': path})


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [('model.decode_head.recurence', 3, 'recurence'), ('model.decode_head', 5, 'dict')],
)
def test_a_model_that_cannot_be_built_is_told_with_its_variant(tmp_path, key, value, words):
    study = load_study(write(tmp_path, f'variants = dict(none={{"{key}": {value}}})'))
    path = tmp_path / 'none.py'
    path.write_text(study.variants['none'].text)
    with separate_run(), pytest.raises(UserError, match=f"variant 'none' of .*{words}"):
        check_variants(study, {'none': path})


def configs_of(study: Study, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f'{name}.py' for name in study.variants}
    for name, path in paths.items():
        path.write_text(study.variants[name].text)
    return paths


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('test_dataloader.dataset.indices', 2, '2, but None'),
        ('test_dataloader.dataset.data_prefix.img_path', 'other', "'other', but 'leftImg8bit/val'"),
        ('test_dataloader.dataset.metainfo', dict(classes=('a',)), "'a'"),
        ('model.decode_head.num_classes', 5, '5, but 8 in the baseline'),
    ],
)
def test_a_variant_that_is_tested_on_something_else_is_refused(tmp_path, key, value, words):
    study = load_study(write(tmp_path, f'variants = dict(none={{}}, other={{"{key}": {value!r}}})'))
    with separate_run(), pytest.raises(UserError) as error:
        check_variants(study, configs_of(study, tmp_path))
    told = f"variant 'other' of study question: {key}"
    assert str(error.value).startswith(told) and words in str(error.value)
    assert 'cannot be compared' in str(error.value)


def test_variants_may_differ_in_model_training_and_pipelines(tmp_path):
    study = load_study(
        write(
            tmp_path,
            'variants = dict(none={}, other={"model.decode_head.channels": 16, '
            '"train_dataloader.dataset.indices": 9, "test_dataloader.dataset.pipeline": '
            '[dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]})',
        )
    )
    with separate_run():
        assert list(check_variants(study, configs_of(study, tmp_path))) == ['none', 'other']


def test_data_that_is_not_there_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', str(tmp_path / 'nowhere'))
    study = load_study(write(tmp_path, 'variants = dict(none={}, other={})'))
    with separate_run(), pytest.raises(UserError) as error:
        check_data_sets(study, configs_of(study, tmp_path), study.variants)
    assert "variant 'none' of study question: data root" in str(error.value)
    assert 'nowhere' in str(error.value) and 'mmattn prepare' in str(error.value)


def test_data_of_one_variant_alone_is_looked_at_too(tmp_path, toy_data, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', str(toy_data))
    study = load_study(
        write(
            tmp_path,
            'variants = dict(none={}, same={}, '
            'other={"train_dataloader.dataset.data_prefix.seg_map_path": "lost"})',
        )
    )
    configs = configs_of(study, tmp_path)
    with separate_run(), pytest.raises(UserError, match="variant 'other' of .*: label folder"):
        check_data_sets(study, configs, study.variants)
    with separate_run():
        check_data_sets(study, configs, ['none', 'same'])


def test_an_unknown_study_names_those_like_it():
    assert load_study('toy_plugins').name == 'toy_plugins'
    with pytest.raises(UserError, match='did you mean .*toy_plugins'):
        load_study('toy_plugin')


@pytest.mark.parametrize(
    'path',
    ['fla', 'fla.py', 'configs/studies/fla.py', 'configs/studies/fla', '../configs/studies/fla.py'],
)
def test_our_studies_are_found_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_study(path).name == 'fla'


@pytest.mark.parametrize(
    'path', ['no_such_dir/fla.py', '/elsewhere/fla.py', 'studies/fla', './x/fla']
)
def test_a_path_elsewhere_is_none_of_our_studies(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f'study {Path(path)} not found; did you mean .*fla.py'):
        load_study(path)


def test_overrides_are_flattened_to_dotted_keys():
    nested = {'a': {'b.c': 1, 'd': {}}, 'e': [{'f': 2}]}
    assert dict(flatten(nested)) == {'a.b.c': 1, 'a.d': {}, 'e': [{'f': 2}]}


@pytest.mark.slow
@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_our_studies_can_be_run(path, tmp_path):
    """Each variant has a config whose parts exist, and none is another under a second name."""
    study = load_study(path)
    check_variants(study, configs_of(study, tmp_path))
    assert len({variant.digest for variant in study.variants.values()}) == len(study.variants)


def test_a_class_group_of_no_class_is_told_before_the_first_run(write_study, tmp_path):
    file = write_study()
    file.write_text(file.read_text().replace("'boat'", "'boot'"))
    with pytest.raises(UserError, match=r"class_groups\['hulls'\] names 'boot'; the classes are"):
        ablate(file, work_dir=tmp_path / 'work')
    assert not list(tmp_path.glob('work/*/seed*'))
