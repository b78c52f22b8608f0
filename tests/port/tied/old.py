import torch
print "cuda", torch.cuda.device_count()
