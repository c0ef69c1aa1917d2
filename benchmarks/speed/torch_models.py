"""The six published networks in PyTorch, written from their specification.

All take standardised float32 crops `(batch, 13, 64, 64)` and put out logits `(batch, 5)`.
"""

import torch
from torch import nn

CROPS = 13
SIDE = 64
CLASSES = 5

PARAMETERS = {
    "cnn_2d": 2_178_949,
    "cnn_3d": 3_903_109,
    "attention_lstm": 149_125,
    "hybrid": 206_666,
    "attention_vgg": 20_634_693,
    "time_distributed_cnn": 27_337_861,
}
"""Parameters of the published networks."""


def conv_blocks(channels):
    """Two blocks of conv 3x3 same, ReLU, max-pool 2: 128 maps of a quarter of the side."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def cnn_2d():
    return nn.Sequential(
        conv_blocks(CROPS),
        nn.Flatten(),
        nn.Linear(128 * (SIDE // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


def cnn_3d():
    layers = [nn.Unflatten(1, (1, CROPS))]
    channels = 1
    for filters, size in ((64, 3), (128, 3), (256, 2), (512, 2), (512, 2)):
        layers += [nn.Conv3d(channels, filters, size, padding=1), nn.ReLU(), nn.MaxPool3d(2)]
        channels = filters
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(512 * 1 * 2 * 2, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


class AttentionLSTM(nn.Module):
    """An LSTM over a sequence, summarised by attending to its states, then logits."""

    def __init__(self, values, units=128):
        super().__init__()
        self.lstm = nn.LSTM(values, units, batch_first=True)
        self.score = nn.Linear(units, units, bias=False)
        self.summary = nn.Linear(2 * units, units, bias=False)
        self.logits = nn.Linear(units, CLASSES)

    def forward(self, rows):
        states, _ = self.lstm(rows)
        last = states[:, -1]
        scores = torch.bmm(self.score(states), last.unsqueeze(2))
        context = torch.bmm(scores.softmax(dim=1).transpose(1, 2), states).squeeze(1)
        return self.logits(torch.tanh(self.summary(torch.cat((context, last), dim=1))))


def attention_lstm():
    return nn.Sequential(nn.Flatten(1, 2), AttentionLSTM(SIDE))


def hybrid():
    return nn.Sequential(
        conv_blocks(CROPS),
        nn.Flatten(1, 2),
        AttentionLSTM(SIDE // 4),
        nn.Linear(CLASSES, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


class TimeDistributedCNN(nn.Module):
    """Conv blocks shared by the steps, which are folded into the batch, then dense layers."""

    def __init__(self, steps=8):
        super().__init__()
        self.strips = (steps, 1, CROPS * SIDE // steps, SIDE)
        self.shared = conv_blocks(1)
        self.classify = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * CROPS * SIDE * SIDE // 16, 64),
            nn.ReLU(),
            nn.Linear(64, CLASSES),
        )

    def forward(self, crops):
        strips = crops.reshape(-1, *self.strips[1:])
        return self.classify(self.shared(strips).unflatten(0, (-1, self.strips[0])))


def vgg_block(channels, filters, convs):
    """Conv 3x3 same without bias, batch norm, ReLU, several times."""
    layers = []
    for _ in range(convs):
        layers += [
            nn.Conv2d(channels, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(inplace=True),
        ]
        channels = filters
    return nn.Sequential(*layers)


class SpatialAttention(nn.Module):
    """Sum of local features over all positions, weighted by the softmax of u . (l + g)."""

    def __init__(self, channels):
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, local, overall):
        weights = self.score(local + overall).flatten(2).softmax(dim=2)
        return torch.bmm(local.flatten(2), weights.transpose(1, 2)).squeeze(2)


class AttentionVGG(nn.Module):
    """Jetley et al., Learn to Pay Attention, ICLR 2018: att3, concat, parametrised."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(
            vgg_block(CROPS, 64, 2), vgg_block(64, 128, 2), vgg_block(128, 256, 3)
        )
        self.second = nn.Sequential(nn.MaxPool2d(2), vgg_block(256, 512, 3))
        self.third = nn.Sequential(nn.MaxPool2d(2), vgg_block(512, 512, 3))
        self.overall = nn.Sequential(
            nn.MaxPool2d(2),
            vgg_block(512, 512, 1),
            nn.MaxPool2d(2),
            vgg_block(512, 512, 1),
            nn.MaxPool2d(2),
            nn.Conv2d(512, 512, SIDE // 32),
        )
        self.projection = nn.Conv2d(256, 512, 1, bias=False)
        self.attention = nn.ModuleList(SpatialAttention(512) for _ in range(3))
        self.logits = nn.Linear(3 * 512, CLASSES)

    def forward(self, crops):
        first = self.first(crops)
        second = self.second(first)
        third = self.third(second)
        overall = self.overall(third)
        locals_ = (self.projection(first), second, third)
        attended = [
            attention(local, overall)
            for attention, local in zip(self.attention, locals_, strict=True)
        ]
        return self.logits(torch.cat(attended, dim=1))


MODELS = {
    "cnn_2d": cnn_2d,
    "cnn_3d": cnn_3d,
    "attention_lstm": attention_lstm,
    "hybrid": hybrid,
    "attention_vgg": AttentionVGG,
    "time_distributed_cnn": TimeDistributedCNN,
}
"""The builder of each network, by its name in `ecg_lib.models`."""


def train_step(model, crops, labels, learning_rate):
    """A function that makes a training step as published, and returns the loss.

    Args:
        model: a network.
        crops: standardised float32 tensor `(batch, 13, 64, 64)`.
        labels: int64 tensor `(batch,)`.
        learning_rate: of Adamax.
    """
    optimizer = torch.optim.Adamax(model.parameters(), lr=learning_rate, eps=1e-8)
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(crops), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        return loss.item()

    return step
