# The scenes of `make demo`, where only the surroundings tell a car from a boat and a lamp from a
# tree, twice as large, and a net of one stage that sees 23 pixels to each side. A hull is 27 to 115
# pixels wide there. The mechanism stands between the layers of a head of 1x1 convolutions, so that
# nothing else looks further. `mmattn prepare toy` makes the data; a run takes a minute or two.
question = 'Which mechanism brings the surroundings to a net that sees little of them?'
base = '../ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py'
data = 'toy scenes'
baseline = 'none'
twice = dict(type='Resize', scale=(512, 256))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    twice,
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
options = {
    'train_dataloader.dataset.pipeline.2.scale': twice['scale'],
    'val_dataloader.dataset.pipeline': test_pipeline,
    'test_dataloader.dataset.pipeline': test_pipeline,
    'optim_wrapper.optimizer.lr': 5e-3,
    'train_cfg.val_interval': 300,
    'model.backbone': dict(
        type='AttnResNetV1c',
        base_channels=16,
        stem_channels=16,
        num_stages=1,
        strides=(1,),
        dilations=(1,),
        out_indices=(0,),
    ),
    'model.decode_head': dict(
        type='AttentionHead', in_channels=16, in_index=0, channels=32, kernel_size=1
    ),
    'model.decode_head.loss_decode.class_weight': [1, 1, 1, 1, 3, 3, 3, 3],  # of what is small
    'model.auxiliary_head': None,
}
_mechanisms = dict(
    se='SE', eca='ECA', cse='CSE', fca='FCA', gsop='GSoP', ciau='CIAU', spa='SPA', sk='SKConv',
    sse='SSE', sge='SGE', siau='SIAU', cbam='CBAM', bam='BAM', gam='GAM', mscam='MSCAM',
    scse='SCSE', coordinate='CoordinateAttention', gather_excite='GatherExcite', rga='RGA',
    polarized='PolarizedSelfAttention', residual='ResidualAttention', shuffle='ShuffleAttention',
    position='PositionAttention', channel='ChannelAttention', criss_cross_1='CrissCross',
    non_local='NonLocal', self='MultiHeadSelfAttention', global_context='GlobalContext',
    apnb='APNB', double='DoubleAttention', interlaced='InterlacedSparse',
    fully_attentional='FullyAttentional', object_context='ObjectContext',
)  # fmt: skip
variants = dict(
    none={'model.decode_head.type': 'FCNHead'},
    criss_cross={'model.decode_head.attention': dict(type='CrissCross', recurrence=2)},
    siau_layer_norm={
        'model.decode_head.attention': dict(type='SIAU', norm_cfg=dict(type='GN', num_groups=1))
    },
    **{
        name: {'model.decode_head.attention': dict(type=mechanism)}
        for name, mechanism in _mechanisms.items()
    },
)
class_groups = dict(hulls=['car', 'boat'], crowns=['lamp', 'tree'])
