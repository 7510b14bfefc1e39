# Polarized self-attention (https://arxiv.org/abs/2107.00782): the two layouts of its figure 2.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Should the channel and the spatial gate of polarized attention follow each other?'
variants = dict(
    parallel={'model.backbone.plugins.0.cfg': dict(type='PolarizedSelfAttention')},
    sequential={
        'model.backbone.plugins.0.cfg': dict(type='PolarizedSelfAttention', mode='sequential')
    },
)
