# Row (a) of configs/ablations on a CPU: ResNet-18 at 180x240, 400 iterations.
question = 'Which mechanism helps in the backbone of an FCN within 400 iterations?'
base = '../ablations/fcn_r18-d8_1xb8-400it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
seeds = [0, 1, 2, 3, 4]
variants = dict(
    none=dict(),
    bam='../ablations/fcn-bam_r18-d8_1xb8-400it_camvid-180x240.py',
    **{
        name: {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type=mechanism),
                    position='after_conv2',
                    stages=(False, True, True, True),
                )
            ]
        }
        for name, mechanism in dict(
            se='SE',
            eca='ECA',
            cbam='CBAM',
            scse='SCSE',
            coordinate='CoordinateAttention',
            sge='SGE',
            global_context='GlobalContext',
        ).items()
    },
)
class_groups = dict(thin=['pole', 'sign', 'pedestrian', 'bicyclist'])
