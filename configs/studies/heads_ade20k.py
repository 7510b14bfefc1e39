_base_ = './heads_cityscapes.py'
base = '../plugins/fcn_r50-d8_4xb4-160k_ade20k-512x512.py'
data = 'ADE20K'
grid = [
    dict(
        fcn='../plugins/fcn_r50-d8_4xb4-160k_ade20k-512x512.py',
        danet='../danet/danet_r50-d8_4xb4-160k_ade20k-512x512.py',
        ccnet='../ccnet/ccnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        anl='../anl/anl_r50-d8_4xb4-160k_ade20k-512x512.py',
        gcnet='../gcnet/gcnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        ocrnet='../ocrnet/ocrnet_r50-d8_4xb4-160k_ade20k-512x512.py',
        fla='../fla/fla_r50-d8_4xb4-160k_ade20k-512x512.py',
    ),
    _base_.grid[1],
]
