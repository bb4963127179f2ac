"""Training steps of the m-RNN in PyTorch, for `python -m benchmarks training --peer PYTHON`.

It runs in an environment of its own, with PyTorch and NumPy. The argument is an `.npz` file of `benchmarks.training`
with the batches and sizes. For each line of standard input it trains on all batches once and prints the seconds of wall
time and of processor time.

The networks are those of `model.mrnn.variants`, with two differences of PyTorch's recurrent layers: that of `mrnn` also
multiplies its input with a matrix, and the GRU applies its reset gate after the product.
"""

import os
import sys
import time
from typing import Any

import numpy as np
import torch

PAD = 0
torch.set_flush_denormal(True)  # as TensorFlow does
data = np.load(sys.argv[1])
variant, vocabulary, features, rate = (data[name].item() for name in ("variant", "vocabulary", "features", "dropout"))
torch.manual_seed(0)


def g2(x: Any) -> Any:
    """Return the paper's scaled hyperbolic tangent."""
    return 1.7159 * torch.tanh(x * (2.0 / 3.0))


class Network(torch.nn.Module):
    """One of three variants at its published sizes."""

    def __init__(self) -> None:
        """Create the layers."""
        super().__init__()
        word, state, joint = {"mrnn": (128, 256, 512), "mrnn-shared": (512, 512, 1024), "tf-mrnn": (1024, 2048, 2048)}[
            variant
        ]
        self.drop = torch.nn.Dropout(rate)
        self.embedding = torch.nn.Embedding(vocabulary, word)
        if variant == "mrnn":
            self.second = torch.nn.Linear(word, state, bias=False)
            self.recurrent: Any = torch.nn.RNN(state, state, nonlinearity="relu", batch_first=True)
            self.of_word = torch.nn.Linear(state, joint)
            self.out = torch.nn.Linear(joint, vocabulary)
        else:
            kind = torch.nn.LSTM if variant == "mrnn-shared" else torch.nn.GRU
            self.recurrent = kind(word, state, batch_first=True)
            if variant == "mrnn-shared":
                self.of_word = torch.nn.Linear(word, joint)
            self.to_embedding = torch.nn.Linear(joint, word)
            self.bias = torch.nn.Parameter(torch.zeros(vocabulary))
        self.of_state = torch.nn.Linear(state, joint, bias=variant == "tf-mrnn")
        self.of_image = torch.nn.Linear(features, joint, bias=variant == "tf-mrnn")

    def forward(self, tokens: Any, real: Any, image: Any) -> Any:
        """Compute the logits of the tokens that are real."""
        words = self.embedding(tokens)
        words = self.drop(self.second(words) if variant == "mrnn" else words)
        states = self.of_state(self.drop(self.recurrent(words)[0][real]))
        image = self.of_image(image)[torch.nonzero(real)[:, 0]]
        if variant == "tf-mrnn":
            joint = torch.relu(states) + torch.relu(image)
        else:
            joint = g2(self.of_word(words[real]) + states + image)
        joint = self.drop(joint)
        if variant == "mrnn":
            return self.out(joint)
        activation = torch.relu if variant == "tf-mrnn" else g2
        return activation(self.to_embedding(joint)) @ self.embedding.weight.T + self.bias


network = Network()
optimizer = torch.optim.Adam(network.parameters(), 1e-4, eps=1e-7, fused=True)


def step(inputs: Any, targets: Any, image: Any) -> float:
    """Train on one batch of NumPy arrays and return the loss."""
    targets = torch.from_numpy(targets).long()
    real = targets != PAD
    logits = network(torch.from_numpy(inputs).long(), real, torch.from_numpy(image.astype(np.float32)))
    loss = torch.nn.functional.cross_entropy(logits, targets[real])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return loss.item()


batches = [[data[f"{name}{index}"] for name in ("inputs", "targets", "features")] for index in range(data["batches"])]
for _ in sys.stdin:
    wall, before = time.perf_counter(), os.times()
    for batch in batches:
        step(*batch)
    after = os.times()
    print(time.perf_counter() - wall, after.user + after.system - before.user - before.system, flush=True)
