"""GPTQModel's solver, called as its own loop over a model calls it."""
from __future__ import annotations

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch


class Solver:
    """Rounds one linear layer in place, on the inputs that it was shown."""

    def __init__(self, linear: torch.nn.Linear, options):
        from gptqmodel.quantization import QuantizeConfig
        from gptqmodel.quantization.gptq import GPTQ
        order = options.order
        self._gptq = GPTQ(linear, QuantizeConfig(
            bits=options.bits, group_size=options.group_size, sym=not options.asym, damp_percent=options.damp,
            desc_act=order in ("act", "static"), static_groups=order == "static", act_group_aware=order == "gar",
            mse=2.4 if options.mse else 0.0, offload_to_disk=False))
        # The name makes configure() take bits and sym from its arguments rather than from the settings.
        self._gptq.quantizer.configure(perchannel=True, bits=options.bits, sym=not options.asym)
        self._linear = linear

    def add(self, x: torch.Tensor) -> None:
        self._gptq.add_batch(x, None)

    def finish(self) -> torch.Tensor:
        """The group of each input."""
        rounded, _, _, groups, *_ = self._gptq.quantize()
        self._linear.weight.data = rounded.to(self._linear.weight.dtype)
        return groups
