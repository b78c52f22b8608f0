"""Telephony: a bidirectional LSTM with CTC reads the keys from a recording of dialled tones."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

KEYS = "123A456B789C*0#D"
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # Hz, ITU-T Q.23
RATE, FRAME = 8000, 200
LENGTH, BATCH, STEPS = 5, 8, 8


def recording(keys, noise):
    """A wave of one second: each key's two tones, a pause between keys."""
    time = torch.arange(RATE // LENGTH - 2 * FRAME) / RATE
    tones = []
    for key in keys.tolist():
        low, high = ROWS[key // 4], COLUMNS[key % 4]
        tones += [torch.sin(2 * math.pi * low * time) + torch.sin(2 * math.pi * high * time)]
        tones += [torch.zeros(2 * FRAME)]
    wave = torch.cat(tones)
    return wave + 0.1 * torch.randn(wave.shape, generator=noise)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(FRAME // 2 + 1, 32, num_layers=2, bidirectional=True)
        self.head = nn.Linear(64, 1 + len(KEYS))

    def forward(self, spectra):
        hidden, _ = self.lstm(spectra.transpose(0, 1))
        return F.log_softmax(self.head(hidden), -1)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    noise = torch.Generator().manual_seed(1)
    model = Reader().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(STEPS):
        keys = torch.randint(0, len(KEYS), (BATCH, LENGTH), generator=noise)
        waves = torch.stack([recording(row, noise) for row in keys])
        spectra = torch.fft.rfft(waves.unfold(1, FRAME, FRAME)).abs().log1p().to(device)
        scores = model(spectra)
        frames = torch.full((BATCH,), scores.shape[0])
        loss = F.ctc_loss(scores, keys.to(device) + 1, frames, torch.full((BATCH,), LENGTH))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
