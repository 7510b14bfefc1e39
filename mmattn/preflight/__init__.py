"""What is looked at before time is spent: the config, the data, checkpoints, pretrained weights."""
