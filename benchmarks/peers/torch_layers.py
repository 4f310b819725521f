"""The connections of a layered network as PyTorch modules."""

from __future__ import annotations

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task


def layers(task: Task) -> list[torch.nn.Module]:
    """Return a module per layer: an average pool where there is one, then the linear map or the convolution."""
    result = []
    for weights, pool in zip(task.items("weights"), task.arrays["pools"], strict=True):
        # The network sums over a window, an average pool is that much smaller.
        kernel = torch.from_numpy(weights.astype(np.float32)) * float(pool * pool)
        synapse: torch.nn.Module
        if kernel.ndim == 2:
            synapse = torch.nn.Linear(*kernel.shape, bias=False)
            kernel = kernel.T.contiguous()
        else:
            synapse = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], bias=False)
        synapse.weight = torch.nn.Parameter(kernel)
        before = [torch.nn.AvgPool2d(int(pool))] if pool > 1 else []
        if kernel.ndim == 2 and pool > 1:
            before.append(torch.nn.Flatten())
        result.append(torch.nn.Sequential(*before, synapse) if before else synapse)
    return result


def stimulus(task: Task) -> torch.Tensor:
    """Return the input spikes as float32, ticks first."""
    return torch.from_numpy(np.ascontiguousarray(task.stimulus.swapaxes(0, 1), np.float32))
