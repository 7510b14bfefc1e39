# The scenes of `make demo`: a hull is a car on the road and a boat on the water, and only the
# surroundings tell which. One or two minutes a run on two cores.
question = 'Which plugin tells a car from a boat?'
base = '../ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'
data = 'the toy scenes (mmattn prepare toy)'
baseline = 'none'
options = {'model.backbone.type': 'AttnResNetV1c', 'model.decode_head.type': 'FCNHead'}
variants = dict(
    none=dict(),
    **{
        name: {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type=mechanism),
                    position='after_stage',
                    stages=(False, False, False, True),
                )
            ]
        }
        for name, mechanism in dict(se='SE', non_local='NonLocal', ccnet='CrissCross').items()
    },
)
class_groups = dict(hulls=['car', 'boat'], thin=['lamp', 'tree'])
