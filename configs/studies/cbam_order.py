# CBAM (https://arxiv.org/abs/1807.06521), its comparison of the orders of the two gates.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'In which order should the two gates of CBAM stand, and are both needed?'
baseline = 'channel_first'
variants = {
    order: {'model.backbone.plugins.0.cfg': dict(type='CBAM', order=order)}
    for order in ('channel_first', 'spatial_first', 'parallel', 'channel', 'spatial')
}
