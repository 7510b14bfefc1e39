# IAU (https://arxiv.org/abs/2009.01035): spatial, channel and both interactions, within a frame and
# between the four frames of a clip. All variants train on the same clips.
question = 'Does interaction between the frames of a clip add to that within a frame?'
base = '../temporal/fcn_r18-d8_1xb8-1200it_camvidclips-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        f'{name}_frames{num_frames}': {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type=kind, num_frames=num_frames),
                    position='after_stage',
                    stages=(True, True, True, False),
                )
                for kind in kinds
            ]
        }
        for name, kinds in dict(spatial=['SIAU'], channel=['CIAU'], both=['SIAU', 'CIAU']).items()
        for num_frames in (1, 4)
    },
)
