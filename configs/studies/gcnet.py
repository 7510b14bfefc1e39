# GCNet (https://arxiv.org/abs/1904.11492), its ablations of pooling, fusion and bottleneck ratio.
question = 'Which pooling, fusion and width does the global context block need?'
base = '../camvid_cpu/gcnet_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
    **{
        f'{pooling}_{fusion}': {
            'model.decode_head': dict(pooling_type=pooling, fusion_types=fusion_types)
        }
        for pooling in ('att', 'avg')
        for fusion, fusion_types in dict(
            add=['channel_add'], mul=['channel_mul'], both=['channel_add', 'channel_mul']
        ).items()
    },
    **{
        f'ratio{denominator}': {'model.decode_head.ratio': 1 / denominator}
        for denominator in (8, 16, 32)
    },
)
