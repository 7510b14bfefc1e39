# ANN (https://arxiv.org/abs/1908.07678), its ablations of the two blocks and of the sampling grids,
# which leave 1, 50, 110 (the default) and 225 keys.
question = 'What do fusion and pyramid block add to each other, and how many keys do they need?'
base = '../camvid_cpu/anl_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
    fusion={'model.decode_head.blocks': ['AFNB']},
    pyramid={'model.decode_head.blocks': ['APNB']},
    both=dict(),
    keys1={'model.decode_head.key_pool_scales': (1,)},
    keys50={'model.decode_head.key_pool_scales': (1, 2, 3, 6)},
    keys225={'model.decode_head.key_pool_scales': (1, 4, 8, 12)},
)
