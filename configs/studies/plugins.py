# Row (a) of configs/ablations: plugins after the last convolution of each block in stages 2 to 4;
# BAM between the stages, as in its paper.
question = 'Which mechanism helps in the backbone of an FCN?'
base = '../ablations/fcn_r50-d8_1xb8-20k_camvid-360x480.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    bam='../ablations/fcn-bam_r50-d8_1xb8-20k_camvid-360x480.py',
    **{
        name: {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type=mechanism),
                    position='after_conv3',
                    stages=(False, True, True, True),
                )
            ]
        }
        for name, mechanism in dict(
            se='SE', eca='ECA', cbam='CBAM', scse='SCSE', coordinate='CoordinateAttention'
        ).items()
    },
)
class_groups = dict(thin=['pole', 'sign', 'pedestrian', 'bicyclist'])
