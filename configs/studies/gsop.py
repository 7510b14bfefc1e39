# GSoP (https://arxiv.org/abs/1811.12006): covariance of channels, of positions, and both.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Does second-order pooling help over channels, over positions, or over both?'
variants = dict(
    channel={'model.backbone.plugins.0.cfg': dict(type='GSoP')},
    spatial={'model.backbone.plugins.0.cfg': dict(type='GSoP', mode='spatial')},
    both={'model.backbone.plugins.0.cfg': dict(type='GSoP', mode='both')},
)
