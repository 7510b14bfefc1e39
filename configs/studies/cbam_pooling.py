# CBAM (https://arxiv.org/abs/1807.06521), its comparison of average and maximum pooling.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Does CBAM need the maximum beside the mean?'
baseline = 'avg'
variants = {
    pooling: {'model.backbone.plugins.0.cfg': dict(type='CBAM', pooling=pooling)}
    for pooling in ('avg', 'max', 'both')
}
