question = 'Which head gains from SE or CBAM in the backbone, and which does not need them?'
base = '../plugins/fcn_r50-d8_4xb4-160k_ade20k-512x512.py'
data = 'ADE20K'
baseline = 'fcn-none'
grid = [
    dict(
        fcn='../plugins/fcn_r50-d8_4xb4-160k_ade20k-512x512.py',
        danet='../danet/danet_r50-d8_4xb4-160k_ade20k-512x512.py',
        ccnet='../ccnet/ccnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        anl='../anl/anl_r50-d8_4xb4-160k_ade20k-512x512.py',
        gcnet='../gcnet/gcnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        ocrnet='../ocrnet/ocrnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        fla='../fla/fla_r50-d8_4xb4-160k_ade20k-512x512.py',
    ),
    dict(
        none={'model.backbone.type': 'AttnResNetV1c'},
        **{
            name: {
                'model.backbone.type': 'AttnResNetV1c',
                'model.backbone.plugins': [
                    dict(
                        cfg=dict(type=mechanism),
                        position='after_conv3',
                        stages=(False, True, True, True),
                    )
                ],
            }
            for name, mechanism in dict(se='SE', cbam='CBAM').items()
        },
    ),
]
