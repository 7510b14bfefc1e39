# The scenes of `make demo`: a hull is a car on the road and a boat on the water, and only the
# surroundings tell which. ResNet-18 with a quarter of its channels, so that a run takes a minute or
# two; `mmattn prepare toy` makes the data.
question = 'Which plugin tells a car from a boat?'
base = '../ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'
data = 'toy scenes'
baseline = 'none'
options = {
    'model.backbone': dict(type='AttnResNetV1c', base_channels=16, stem_channels=16),
    'model.decode_head': dict(type='FCNHead', in_channels=128, channels=32),
    'model.auxiliary_head': dict(in_channels=64, channels=16),
}
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
        for name, mechanism in dict(se='SE', criss_cross='CrissCross', non_local='NonLocal').items()
    },
)
class_groups = dict(hulls=['car', 'boat'], crowns=['lamp', 'tree'])
