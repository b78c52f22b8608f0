"""Molecules: how strongly will this compound act, before anyone makes it?

Data: 1,017 sulfonamides and their measured activity, minus the logarithm of a concentration
(CHEMBL2321810, inside the package rdkit). Every fifth is for the test; the error is compared with
that of the plain guess, the mean.
"""

import argparse
import csv
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from rdkit import Chem, RDConfig
from torch import nn

ATOMS = (6, 7, 8, 16, 9, 17, 35)  # C N O S F Cl Br
BONDS, WIDTH, ROUNDS = 4, 64, 3


def compounds():
    """(molecule, activity) of each compound."""
    folder = Path(RDConfig.RDContribDir) / "FreeWilson" / "data"
    with (folder / "CHEMBL2321810_act.csv").open() as lines:
        activity = {row["Name"]: float(row["Act"]) for row in csv.DictReader(lines)}
    for line in (folder / "CHEMBL2321810.smi").read_text().splitlines():
        smiles, name = line.split()
        if name in activity:
            yield Chem.MolFromSmiles(smiles), activity[name]


def atom_facts(atom):
    kinds = [atom.GetAtomicNum() == number for number in ATOMS]
    others = [atom.GetIsAromatic(), atom.IsInRing(), atom.GetFormalCharge(),
              atom.GetTotalNumHs() / 3, atom.GetDegree() / 4]  # fmt: skip
    return [float(x) for x in (*kinds, *others)]


def graphs(molecules):
    """Atoms [molecules, most, facts] and bonds by kind [molecules, kinds, most, most]."""
    most = max(m.GetNumAtoms() for m in molecules)
    atoms = torch.zeros(len(molecules), most, len(ATOMS) + 5)
    bonds = torch.zeros(len(molecules), BONDS, most, most)
    for i, molecule in enumerate(molecules):
        facts = [atom_facts(atom) for atom in molecule.GetAtoms()]
        atoms[i, : len(facts)] = torch.tensor(facts)
        for bond in molecule.GetBonds():
            kind = 3 if bond.GetIsAromatic() else int(bond.GetBondTypeAsDouble()) - 1
            a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            bonds[i, kind, a, b] = bonds[i, kind, b, a] = 1.0
    return atoms, bonds


class Network(nn.Module):
    """Atoms hear of their neighbours by kind of bond, then vote (relational graph network)."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(len(ATOMS) + 5, WIDTH)
        self.told = nn.ModuleList(nn.Linear(WIDTH, BONDS * WIDTH) for _ in range(ROUNDS))
        self.kept = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(ROUNDS))
        self.norm = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(ROUNDS))
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1))

    def forward(self, atoms, bonds):
        x = self.inside(atoms)
        there = atoms.abs().sum(-1, keepdim=True) > 0
        for told, kept, norm in zip(self.told, self.kept, self.norm, strict=True):
            messages = told(x).unflatten(-1, (BONDS, WIDTH)).transpose(1, 2)
            x = x + F.silu(norm(kept(x) + (bonds @ messages).sum(1)))
        mean = (x * there).sum(1) / there.sum(1)
        largest = x.masked_fill(~there, -torch.inf).amax(1)
        return self.head(torch.cat([mean, largest], -1)).squeeze(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    molecules, activity = zip(*compounds(), strict=True)
    atoms, bonds = graphs(molecules)
    activity = torch.tensor(activity)
    held = torch.arange(len(activity)) % 5 == 4
    known = (~held).nonzero().squeeze(1)
    mean, spread = activity[known].mean(), activity[known].std()
    model = Network().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    losses = []
    for step in range(args.steps):
        chosen = known[torch.randint(0, len(known), (args.batch_size,), generator=draw)]
        told = model(atoms[chosen].to(device), bonds[chosen].to(device))
        loss = F.smooth_l1_loss(told, ((activity[chosen] - mean) / spread).to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    with torch.no_grad():
        told = model(atoms[held].to(device), bonds[held].to(device)).cpu() * spread + mean
    truth = activity[held]
    explained = 1 - (told - truth).square().mean() / (truth - truth.mean()).square().mean()
    errors = [(x - truth).abs().mean().item() for x in (told, mean)]
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    print(f"error on {len(truth)} unseen compounds: {errors[0]:.3f}, of the mean {errors[1]:.3f}; "
          f"explained {100 * explained:.0f} %")  # fmt: skip


if __name__ == "__main__":
    main()
