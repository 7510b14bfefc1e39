# AFF (https://arxiv.org/abs/2009.14082), its ablation of fusions within a layer, as in Inception: a
# 3x3 and a 5x5 convolution side by side.
question = 'How should the branches of a layer with two kernel sizes be joined?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'add'
variants = {
    name: {'model.backbone.conv2': dict(type='InceptionConv', fusion=fusion)}
    for name, fusion in dict(
        add=dict(type='AddFusion'),
        concat=dict(type='ConcatFusion'),
        sk=dict(type='SelectiveFusion'),
        global_global=dict(type='AFF', contexts=('global', 'global')),
        local_local=dict(type='AFF', contexts=('local', 'local')),
        aff=dict(type='AFF'),
        iaff=dict(type='IAFF'),
    ).items()
}
