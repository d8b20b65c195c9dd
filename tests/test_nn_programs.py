"""Programs as a user of PyTorch types them: with `pyconv` for `torch` they do the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.nn.functional as F

HEAD = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, OneCycleLR, SequentialLR
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.head = nn.Linear(2, 3)
        nn.init.dirac_(self.conv.weight)
        nn.init.eye_(self.head.weight)
        for bias in (self.conv.bias, self.head.bias):
            nn.init.constant_(bias, 0.1)

    def forward(self, x):
        x = F.interpolate(F.relu(self.conv(x)), scale_factor=2, antialias=False)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

images = torch.arange(96.0).reshape(6, 1, 4, 4) / 96
labels = torch.tensor([0, 1, 2, 0, 1, 2])
dataset = TensorDataset(images, labels)
"""
PROGRAMS = {
    "warm-up": """
model = Net()
optimizer = torch.optim.AdamW(model.named_parameters(), lr=0.1, betas=(0.8, 0.9))
warm = LambdaLR(optimizer, lr_lambda=lambda epoch: min(1.0, (epoch + 1) / 3))
scheduler = SequentialLR(optimizer, [warm, ExponentialLR(optimizer, gamma=0.5)], milestones=[3])
result, rates = [], []
for epoch in range(5):
    for image, label in DataLoader(dataset, batch_size=3):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(image), label)
        loss.backward()
        optimizer.step()
        result.append(loss.item())
    scheduler.step()
    rates.append(scheduler.get_last_lr()[0])
result += rates
assert optimizer.param_groups[0]["param_names"] == [name for name, _ in model.named_parameters()]
""",
    "checkpoint": """
model = Net()
optimizer = torch.optim.SGD([
    {"params": model.conv.parameters(), "lr": 0.01},
    {"params": model.head.parameters()},
], lr=0.1, momentum=0.9)
scheduler = OneCycleLR(optimizer, max_lr=[0.1, 0.2], total_steps=9, three_phase=True)

def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()

train(3)
checkpoint = {
    "epoch": 3,
    "model": {name: value.clone() for name, value in model.state_dict().items()},
    "optimizer": optimizer.state_dict(),
    "scheduler": scheduler.state_dict(),
}
model = Net()
try:
    model.load_state_dict(checkpoint)
except (RuntimeError, ValueError) as error:
    assert "epoch" in str(error) and "conv.weight" in str(error)
missing, unexpected = model.load_state_dict(
    {**checkpoint["model"], "epoch": checkpoint["epoch"]}, strict=False)
assert missing == [] and unexpected == ["epoch"]
assert str(model.load_state_dict(checkpoint["model"])) == "<All keys matched successfully>"
result = [len(optimizer.param_groups), train(3)]
""",
    "samples": """
class Squares(Dataset):
    def __init__(self, start):
        self.start = start

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"x": torch.tensor([self.start + index]), "square": (self.start + index) ** 2}

both = ConcatDataset([Squares(0), Squares(10)])
result = [len(both), both[4]["square"], both[-1]["square"]]
for batch in DataLoader(both, batch_size=2, sampler=[5, 0, 3], drop_last=False):
    result += batch["x"].flatten().tolist() + batch["square"].tolist()
for batch in DataLoader(both, batch_sampler=[[0], [1, 2]], num_workers=1):
    result += batch["square"].tolist()
for sample in DataLoader(both, batch_size=None):
    result.append(sample["square"])
part = Subset(both, [1, 3])
try:
    part[5]
except IndexError:
    result.append(part[1]["square"])
""",
}


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "program", "exec"), names)
    return names


@pytest.mark.torch
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_does_what_it_does_with_pytorch(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    program = HEAD + PROGRAMS[name]
    ours = program.replace("torch.utils.data", "pyconv.data").replace("torch", "pyconv")
    np.testing.assert_allclose(run(ours)["result"], run(program)["result"], rtol=1e-4)


def test_functions_are_where_pytorch_has_them() -> None:
    assert pyconv.nn.functional is F
    for name in pyconv.functional.__all__:
        assert getattr(F, name) is getattr(pyconv.functional, name)
