# CCNet (https://arxiv.org/abs/1811.11721), its ablation of the recurrence.
question = 'How many steps of criss-cross attention are needed?'
base = '../camvid_cpu/ccnet_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
    recurrence1={'model.decode_head.recurrence': 1},
    recurrence2=dict(),
    recurrence3={'model.decode_head.recurrence': 3},
)
