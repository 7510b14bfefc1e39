question = 'Which head gains from SE or CBAM in the backbone, and which does not need them?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'fcn-none'
grid = [
    dict(
        fcn='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
        danet='../camvid_cpu/danet_r18-d8_1xb8-1200it_camvid-180x240.py',
        ccnet='../camvid_cpu/ccnet_r18-d8_1xb8-1200it_camvid-180x240.py',
        anl='../camvid_cpu/anl_r18-d8_1xb8-1200it_camvid-180x240.py',
        gcnet='../camvid_cpu/gcnet_r18-d8_1xb8-1200it_camvid-180x240.py',
        ocrnet='../camvid_cpu/ocrnet_r18-d8_1xb8-1200it_camvid-180x240.py',
        fla='../camvid_cpu/fla_r18-d8_1xb8-1200it_camvid-180x240.py',
    ),
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
