# Gather-excite (https://arxiv.org/abs/1810.12348), its ablations of the extent and of the
# parameters: none, in gather, in gather and excite. The global convolutions belong to the size of
# the map of a training crop, 23x30 in these stages.
question = 'How far must gather-excite look, and does it need parameters?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        f'{parametrisation}_{extent or "global"}': {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(
                        type='GatherExcite',
                        parametrisation=parametrisation,
                        extent=extent,
                        size=(23, 30),
                    ),
                    position='after_conv2',
                    stages=(False, True, True, True),
                )
            ]
        }
        for parametrisation in ('theta_minus', 'theta', 'theta_plus')
        for extent in (2, 4, 8, None)
    },
)
