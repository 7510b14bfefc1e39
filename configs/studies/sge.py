# SGE (https://arxiv.org/abs/1905.09646), its ablations of the groups, of the normalisation and of
# the bias that the gates start with.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'How many groups does SGE need, and what do its normalisation and its first bias do?'
variants = dict(
    groups4={'model.backbone.plugins.0.cfg': dict(type='SGE', groups=4)},
    groups8={'model.backbone.plugins.0.cfg': dict(type='SGE', groups=8)},
    groups16={'model.backbone.plugins.0.cfg': dict(type='SGE', groups=16)},
    groups32={'model.backbone.plugins.0.cfg': dict(type='SGE', groups=32)},
    groups64={'model.backbone.plugins.0.cfg': dict(type='SGE', groups=64)},
    not_normalised={'model.backbone.plugins.0.cfg': dict(type='SGE', normalise=False)},
    bias0={'model.backbone.plugins.0.cfg': dict(type='SGE', initial_bias=0.0)},
)
