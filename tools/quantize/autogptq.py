"""AutoGPTQ's solver and its reader of packed layers, without the packages that its top imports."""
from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import torch

torch.cuda.synchronize = lambda *arguments, **named: None  # the solver waits for a GPU that it does not use


def load(name: str) -> types.ModuleType:
    """A module of auto_gptq by its file: the package itself insists on a GPU."""
    root = Path(importlib.util.find_spec("auto_gptq").submodule_search_locations[0])
    package = "agq." + name.rsplit(".", 1)[0]
    parts = package.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[:i + 1])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
            sys.modules[path].__path__ = [str(root.joinpath(*parts[1:i + 1]))]
    return importlib.import_module("agq." + name)


class Solver:
    """Rounds one linear layer in place, on the inputs that it was shown."""

    def __init__(self, linear: torch.nn.Linear, options):
        self._gptq, self._options = load("quantization.gptq").GPTQ(linear), options
        self._gptq.quantizer.configure(options.bits, perchannel=True, sym=not options.asym, mse=options.mse)

    def add(self, x: torch.Tensor) -> None:
        self._gptq.add_batch(x, None)

    def finish(self) -> torch.Tensor:
        """The group of each input."""
        order = self._options.order
        return self._gptq.fasterquant(percdamp=self._options.damp, group_size=self._options.group_size,
                                      actorder=order in ("act", "static"), static_groups=order == "static")[2]


def dequantised(stored: dict[str, torch.Tensor], bits: int, group_size: int) -> dict[str, torch.Tensor]:
    """f32 weights under their dense names. An identity matrix through QuantLinear gives W as [in, out]."""
    layer_type = load("nn_modules.qlinear.qlinear_cuda").QuantLinear
    plain = {name: value.float() for name, value in stored.items() if name.endswith(".weight")}
    for name in [name.removesuffix(".qweight") for name in stored if name.endswith(".qweight")]:
        rows, columns = stored[name + ".g_idx"].shape[0], stored[name + ".qweight"].shape[1]
        layer = layer_type(bits, group_size, rows, columns, bias=False, weight_dtype=torch.float32)
        layer.load_state_dict({part: stored[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx")})
        layer.scales = layer.scales.float()
        plain[name + ".weight"] = layer(torch.eye(rows)).t().contiguous()
    return plain
