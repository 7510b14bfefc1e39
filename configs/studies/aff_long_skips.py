# AFF (https://arxiv.org/abs/2009.14082), its ablation of fusions on long skips, in a pyramid.
question = 'How should the levels of a feature pyramid be joined?'
base = '../fpn/fpn-aff_r18_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'add'
variants = dict(
    add='../fpn/fpn_r18_1xb8-1200it_camvid-180x240.py',
    concat={'model.neck.fusion': dict(type='ConcatFusion')},
    sk={'model.neck.fusion': dict(type='SelectiveFusion')},
    global_global={'model.neck.fusion': dict(type='AFF', contexts=('global', 'global'))},
    local_local={'model.neck.fusion': dict(type='AFF', contexts=('local', 'local'))},
    aff=dict(),
    iaff={'model.neck.fusion': dict(type='IAFF')},
)
