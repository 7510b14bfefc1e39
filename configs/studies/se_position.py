# SE-Net (https://arxiv.org/abs/1709.01507): before the residual branch (SE-PRE, before_conv1),
# at its end (the standard place, here after_conv2), on the identity (SE-Identity,
# shortcut), after the sum and its ReLU (SE-POST, after_relu); and inside the branch (after_conv1).
# The paper sees POST alone fall behind.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Where in the residual block should SE stand?'
variants = {
    position: {'model.backbone.plugins.0.position': position}
    for position in ('before_conv1', 'after_conv1', 'after_conv2', 'shortcut', 'after_relu')
}
