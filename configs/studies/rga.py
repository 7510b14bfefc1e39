# RGA (https://arxiv.org/abs/1904.02998), its ablation of RGA-S, RGA-C and RGA-SC.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Do relations between positions and relations between channels add to each other?'
variants = dict(
    spatial={'model.backbone.plugins.0.cfg': dict(type='RGA', mode='spatial')},
    channel={'model.backbone.plugins.0.cfg': dict(type='RGA', mode='channel')},
    both={'model.backbone.plugins.0.cfg': dict(type='RGA')},
)
