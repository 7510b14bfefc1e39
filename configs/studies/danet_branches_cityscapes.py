_base_ = './danet_branches.py'
base = '../plugins/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
variants = dict(
    position={'model.decode_head': dict(attention=dict(channels=64))},
    both={'model.decode_head': dict(pam_channels=64)},
    in_series={
        'model.decode_head': dict(
            attention=[dict(type='ChannelAttention'), dict(type='PositionAttention', channels=64)]
        )
    },
)
