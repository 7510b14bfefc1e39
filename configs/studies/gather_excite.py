# Gather-excite (https://arxiv.org/abs/1810.12348), its ablations of the extent and of the
# parameters: none, in gather, in gather and excite. The global convolutions belong to the size of
# the map of a training crop, 23x30 in these stages.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'How far must gather-excite look, and does it need parameters?'
variants = {
    f'{parametrisation}_{extent or "global"}': {
        'model.backbone.plugins.0.cfg': dict(
            type='GatherExcite', parametrisation=parametrisation, extent=extent, size=(23, 30)
        )
    }
    for parametrisation in ('theta_minus', 'theta', 'theta_plus')
    for extent in (2, 4, 8, None)
}
