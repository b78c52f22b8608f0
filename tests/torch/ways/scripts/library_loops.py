"""Training loops of libraries, unchanged: HF Trainer, accelerate, Lightning, timm, geometric."""

import tempfile
import types

import torch
import torch.nn.functional as F
import ways
from torch import nn


def _gpt(**options):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=1, n_embd=16, n_head=2, n_positions=16, vocab_size=32,
        attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, bos_token_id=0, eos_token_id=0, **options,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def _trainer(device, **options):
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(1)
    rows = [{"input_ids": (ids := torch.randint(0, 32, (8,))), "labels": ids} for _ in range(12)]
    settings = {
        "output_dir": tempfile.mkdtemp(), "per_device_train_batch_size": 4, "max_steps": 3,
        "logging_steps": 1, "report_to": "none", "save_strategy": "no", "seed": 0,
        "learning_rate": 1e-2, "disable_tqdm": True, "lr_scheduler_type": "constant",
        "use_cpu": device == "cpu",
    }  # fmt: skip
    trainer = Trainer(_gpt(), TrainingArguments(**{**settings, **options}), train_dataset=rows)
    trainer.train()
    assert trainer.model.device.type == device
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def way_trainer(device):
    return _trainer(device)


def way_trainer_in_bf16_with_a_fused_optimizer(device):
    return _trainer(device, bf16=True, optim="adamw_torch_fused", gradient_accumulation_steps=2)


def way_trainer_in_fp16_with_checkpointing(device):
    if device == "cpu":
        return _trainer(device)
    return _trainer(
        device, fp16=True, gradient_checkpointing=True, max_grad_norm=1.0,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )  # fmt: skip


def way_trainer_compiled_and_saved(device):
    compiled = device == "cuda"
    return _trainer(device, torch_compile=compiled, save_strategy="steps", save_steps=2)


def _accelerated(device, **options):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    AcceleratorState._reset_state(True)
    set_seed(0)
    accelerator = Accelerator(cpu=device == "cpu", **options)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    data = torch.utils.data.TensorDataset(torch.randn(24, 4), torch.arange(24) % 3)
    loader = torch.utils.data.DataLoader(data, 4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
    assert accelerator.device.type == device
    losses = []
    for x, y in loader:
        with accelerator.accumulate(model):
            loss = F.cross_entropy(model(x).float(), y)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(accelerator.gather(loss).mean().item())
    accelerator.save_state(tempfile.mkdtemp())
    accelerator.unwrap_model(model)
    return losses


def way_accelerate(device):
    return _accelerated(device)


def way_accelerate_in_bf16(device):
    return _accelerated(device, mixed_precision="bf16", gradient_accumulation_steps=2)


def way_accelerate_in_fp16(device):
    return _accelerated(device, mixed_precision="fp16" if device == "cuda" else "no")


def _lightning(device, **options):
    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
            self.seen = []

        def training_step(self, batch, index):
            x, y = batch
            assert x.device == self.device
            loss = F.cross_entropy(self.net(x).float(), y)
            self.log("loss", loss, prog_bar=True)
            self.seen.append(loss.item())
            return loss

        def validation_step(self, batch, index):
            self.log("val", F.cross_entropy(self.net(batch[0]).float(), batch[1]))

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), 1e-2)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(24, 4), torch.arange(24) % 3)
    model, loader = Lit(), torch.utils.data.DataLoader(data, 8)
    trainer = lightning.Trainer(
        max_epochs=1, devices=1, logger=False, enable_checkpointing=False,
        default_root_dir=tempfile.mkdtemp(), enable_progress_bar=False,
        enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(model, loader, loader)
    return model.seen


def way_lightning(device):
    return _lightning(device, accelerator="gpu" if device == "cuda" else "cpu")


def way_lightning_in_bf16(device):
    return _lightning(
        device, accelerator="auto", precision="bf16-mixed", gradient_clip_val=1.0,
        accumulate_grad_batches=2,
    )  # fmt: skip


def way_lightning_in_fp16(device):
    precision = "16-mixed" if device == "cuda" else 32
    return _lightning(
        device, accelerator="cuda" if device == "cuda" else "cpu", precision=precision
    )


def way_a_timm_loop(device):
    import timm
    from timm.data import Mixup
    from timm.loss import SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import AverageMeter, ModelEmaV3, NativeScaler, accuracy

    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1, embed_dim=24, num_heads=3,
        num_classes=4,
    ).to(device=torch.device(device))  # fmt: skip
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
    average = ModelEmaV3(model, decay=0.9)
    schedule = CosineLRScheduler(optimizer, t_initial=4)
    scaler = NativeScaler(device=device) if device == "cuda" else None
    mixup = Mixup(mixup_alpha=0.0, cutmix_alpha=0.0, label_smoothing=0.1, num_classes=4)
    meter, losses = AverageMeter(), []
    for step in range(2):
        x, y = torch.randn(4, 3, 32, 32).to(device), (torch.arange(4) % 4).to(device)
        target = F.one_hot(y, 4).float() * 0.9 + 0.025
        with torch.autocast(device, enabled=False):
            out = model(x)
            loss = SoftTargetCrossEntropy()(out, target)
        optimizer.zero_grad()
        if scaler:
            scaler(loss, optimizer, clip_grad=1.0, parameters=model.parameters())
        else:
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        average.update(model, step=step)
        schedule.step(step + 1)
        meter.update(accuracy(out, y)[0].item(), 4)
        losses.append(loss.item())
    assert mixup is not None and isinstance(timm, types.ModuleType)
    return losses


def way_a_graph_network(device):
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import GATConv, GCNConv, global_mean_pool

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.last = GCNConv(4, 8), GATConv(8, 8), nn.Linear(8, 2)

        def forward(self, data):
            x = self.one(data.x, data.edge_index).relu()
            x = self.two(x, data.edge_index).relu()
            return self.last(global_mean_pool(x, data.batch))

    torch.manual_seed(0)
    graphs = [
        Data(x=torch.randn(5, 4), edge_index=torch.randint(0, 5, (2, 12)), y=torch.tensor([n % 2]))
        for n in range(6)
    ]
    model = Net().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for batch in DataLoader(graphs, 3):
        batch = batch.to(device)
        loss = F.cross_entropy(model(batch), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    ways.run(globals())
