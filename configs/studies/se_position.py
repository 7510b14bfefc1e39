# SE-Net (https://arxiv.org/abs/1709.01507): the standard place (the residual branch, here
# after_conv2), SE-POST (after_add), and inside the branch (after_conv1).
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'Where in the residual block should SE stand?'
variants = {
    position: {'model.backbone.plugins.0.position': position}
    for position in ('after_conv1', 'after_conv2', 'after_add')
}
