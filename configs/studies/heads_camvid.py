_base_ = '../_base_/studies/heads_camvid.py'
question = 'Which head gains from SE or CBAM in the backbone, and which does not need them?'
baseline = 'fcn-none'
grid = [
    _base_.heads,
    dict(
        none={'model.backbone.type': 'AttnResNetV1c'},
        **{
            name: {
                'model.backbone.type': 'AttnResNetV1c',
                'model.backbone.plugins': [
                    dict(
                        cfg=dict(type=mechanism),
                        position='after_conv2',
                        stages=(False, True, True, True),
                    )
                ],
            }
            for name, mechanism in dict(se='SE', cbam='CBAM').items()
        },
    ),
]
