# FLANet (https://arxiv.org/abs/2112.04108): the same head with the non-local blocks that it is
# compared with. The paper sees channel attention serve large classes and position attention thin
# ones.
question = 'Does full attention do better than channel and position attention, alone or together?'
base = '../camvid_cpu/fla_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none={'model.decode_head.attention': []},
    cam={'model.decode_head.attention': [dict(type='ChannelAttention')]},
    pam={'model.decode_head.attention': [dict(type='PositionAttention')]},
    parallel={
        'model.decode_head': dict(
            attention=[dict(type='ChannelAttention'), dict(type='PositionAttention')],
            parallel=True,
        )
    },
    series={
        'model.decode_head.attention': [
            dict(type='ChannelAttention'),
            dict(type='PositionAttention'),
        ]
    },
    fla=dict(),
)
class_groups = dict(
    large=['sky', 'building', 'road', 'pavement', 'tree', 'car'],
    thin=['pole', 'sign', 'fence', 'pedestrian', 'bicyclist'],
)
