# Batches are clips of four frames, and every frame is scored in a clip.
_base_ = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
clips = dict(type='CamVidClips', num_frames=4)
shuffled = dict(_base_.train_dataloader.sampler)
train_sampler = dict(_delete_=True, type='ClipSampler', sampler=shuffled, overlap=True)
val_sampler = dict(_delete_=True, type='ClipSampler', sampler=dict(_base_.val_dataloader.sampler))
train_dataloader = dict(dataset=clips, sampler=train_sampler)
val_dataloader = dict(batch_size=4, dataset=clips, sampler=val_sampler)
test_dataloader = val_dataloader
