# DANet (https://arxiv.org/abs/1809.02983), its ablation of PAM and CAM. 'both' is DANetHead, which
# also supervises each branch; 'in_series' has both in one branch with one loss.
question = 'What do the position and the channel attention of DANet add to each other?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none={'model.decode_head': dict(concat_input=False)},
    position={
        'model.decode_head': dict(
            type='AttentionHead',
            concat_input=False,
            attention=dict(type='PositionAttention', channels=16),
        )
    },
    channel={
        'model.decode_head': dict(
            type='AttentionHead', concat_input=False, attention=dict(type='ChannelAttention')
        )
    },
    in_series={
        'model.decode_head': dict(
            type='AttentionHead',
            concat_input=False,
            attention=[dict(type='ChannelAttention'), dict(type='PositionAttention', channels=16)],
        )
    },
    both={'model.decode_head': dict(type='DANetHead', pam_channels=16)},
)
