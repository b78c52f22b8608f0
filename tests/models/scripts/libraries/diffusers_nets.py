"""Networks of diffusers: a UNet under a noise schedule, an autoencoder, a transformer."""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, DiTTransformer2DModel, UNet2DModel

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
unet = UNet2DModel(
    sample_size=16, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"), in_channels=3, out_channels=3,
)  # fmt: skip
coder = AutoencoderKL(block_out_channels=(16,), norm_num_groups=8, latent_channels=3)
dit = DiTTransformer2DModel(
    num_attention_heads=2, attention_head_dim=16, in_channels=3, out_channels=3, num_layers=2,
    sample_size=16, patch_size=4, norm_num_groups=8, num_embeds_ada_norm=1000, dropout=0.0,
)  # fmt: skip
models = torch.nn.ModuleList([unet, coder, dit]).to(device).eval()
optimizer = torch.optim.AdamW(models.parameters(), lr=1e-3)
schedule = DDPMScheduler(num_train_timesteps=1000)
for step in range(3):
    images, noise = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    times = torch.randint(0, 1000, (2,))
    noisy = schedule.add_noise(images, noise, times).to(device)
    images, noise, times = images.to(device), noise.to(device), times.to(device)
    loss = F.mse_loss(unet(noisy, times).sample, noise)
    code = coder.encode(images).latent_dist
    loss = loss + F.mse_loss(coder.decode(code.mode()).sample, images) + 1e-3 * code.kl().mean()
    labels = torch.zeros_like(times)
    loss = loss + F.mse_loss(dit(noisy, timestep=times, class_labels=labels).sample, noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.6f}")
