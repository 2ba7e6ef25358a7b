"""Trains one phase in a few single-thread processes that share one set of parameters in memory.

On small models two processes of one thread do more work than one process of two. Each process computes the gradient of
its own windows, all add them up through shared memory, and each then updates its own share of the parameters. The
schedule runs over progress, the share of the token budget or of the time limit that is used, whichever is larger, so a
run ends well whatever the machine's speed. Seeds are fixed; a run that meets its time limit sees fewer documents.
"""

from __future__ import annotations

import json
import pathlib
import time
from dataclasses import asdict, dataclass

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from . import generator, tokenizer
from .documents import Windows
from .evaluate import quick_scores
from .model import Llama, Shape
from .optimizer import AdamW, Muon


@dataclass(frozen=True)
class Phase:
    name: str
    tokens: float  # budget
    minutes: float  # limit of time: the schedule ends with whichever of the two ends first
    length: int  # tokens in a window
    rope_factor: float
    muon_rate: float
    adam_rate: float
    warm_up: float = 0.01  # share of the run
    easy: float = 0.0  # share of the run on easy documents
    batch: int = 8  # windows per process
    processes: int = 2
    seed: int = 1234
    question_weight: float = 0.3  # late in the run
    # Share of the batches that are drills (generator.DRILL) at the start; it fades to none.
    drill: float = 0.0
    start_at: float = 0.0  # share of the schedule that an earlier, interrupted run has done
    context_late: float = 0.45  # from this share of the run on, the context counts for less


def rate_at(progress: float, warm_up: float) -> float:
    """Linear warm-up, flat, then linear to 2 % of the peak over the last 60 %."""
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    return max(0.02, min(1.0, (1 - progress) / 0.6))


def part_weights(phase: Phase, progress: float) -> torch.Tensor:
    """Loss weight by part (documents.py).

    The context is mostly random names, whose noise drowns the answers' signal once its form is learnt. A question's
    words are worth more: guessing them means finding the subject in the context, which is what "I don't know." needs.
    An answer's first token decides between the two.
    """
    if progress < phase.context_late:
        return torch.tensor([0.0, 0.2, 1.0, 1.0, 0.2])
    return torch.tensor([0.0, 0.05, 1.0, 3.0, phase.question_weight])


def split_work(parameters: list[tuple[str, torch.Tensor]], processes: int) -> list[list[int]]:
    """Indices of the parameters each process updates, dealt out by size."""
    shares, sizes = [[] for _ in range(processes)], [0.0] * processes
    cost = lambda p: p.numel() * (min(p.shape) if p.ndim == 2 and max(p.shape) < 1000 else 1)
    for i in sorted(range(len(parameters)), key=lambda i: -cost(parameters[i][1])):
        least = sizes.index(min(sizes))
        shares[least].append(i)
        sizes[least] += cost(parameters[i][1])
    return shares


def is_hidden_matrix(name: str) -> bool:
    return name.endswith("_proj.weight")


def save(model: Llama, path: pathlib.Path, notes: dict) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "shape": asdict(model.shape),
            "state": {k: v.clone() for k, v in model.state_dict().items()},
            "notes": notes,
        },
        temporary,
    )
    temporary.replace(path)


def load(path: pathlib.Path) -> Llama:
    stored = torch.load(path, weights_only=True)
    model = Llama(Shape(**stored["shape"]))
    model.load_state_dict(stored["state"])
    return model


def _worker(
    rank: int, phase: Phase, model: Llama, sums: torch.Tensor, stop: torch.Tensor, barrier, paths: dict
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(phase.seed + rank)
    sp = tokenizer.load(paths["tokenizer"])
    windows = Windows(sp, phase.length, phase.seed * 10 + rank)
    drill_length = min(phase.length, model.shape.base_context)
    drills = Windows(sp, drill_length, phase.seed * 10 + rank + 5)
    named = [(n, p) for n, p in model.named_parameters()]
    mine = split_work(named, phase.processes)[rank]
    matrices = [i for i in mine if is_hidden_matrix(named[i][0])]
    others = [i for i in mine if not is_hidden_matrix(named[i][0])]
    muon = Muon([named[i][1].data for i in matrices])
    adam = AdamW([named[i][1].data for i in others])
    ends = torch.tensor([p.numel() for _, p in named]).cumsum(0).tolist()
    views = [sums[:, e - p.numel() : e].view(phase.processes, *p.shape) for e, (_, p) in zip(ends, named)]
    settings = generator.SHORT if phase.length <= model.shape.base_context else generator.LONG
    start = time.time()
    step, saved, mean_loss, seen = 0, start, 0.0, 0
    while True:
        if rank == 0:
            stop[0] = phase.start_at + (1 - phase.start_at) * max(
                (time.time() - start) / (phase.minutes * 60), seen / phase.tokens
            )
        barrier.wait()
        progress = float(stop[0])
        if progress >= 1:
            break
        chosen = generator.EASY if progress < phase.easy else settings
        if drills.rng.random() < phase.drill * (1 - progress):
            ids, parts = drills.batch(phase.batch * phase.length // drill_length, generator.DRILL)
        else:
            ids, parts = windows.batch(phase.batch, chosen)
        ids, parts = torch.from_numpy(ids), torch.from_numpy(parts)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids, phase.rope_factor)
        each = F.cross_entropy(
            logits[:, :-1].reshape(-1, logits.shape[-1]).float(), ids[:, 1:].reshape(-1), reduction="none"
        )
        target = part_weights(phase, progress)[parts[:, 1:].reshape(-1)]
        loss = (each * target).sum() / target.sum()
        model.zero_grad(set_to_none=True)
        loss.backward()
        for view, (_, p) in zip(views, named):
            view[rank].copy_(p.grad)
        barrier.wait()
        summed = {i: views[i].mean(0) for i in mine}
        scale = rate_at(progress, phase.warm_up)
        muon.step([summed[i] for i in matrices], phase.muon_rate * scale)
        adam.step([summed[i] for i in others], phase.adam_rate * scale)
        step += 1
        seen += phase.batch * phase.length * phase.processes
        if rank:
            continue
        mean_loss += (float(loss.detach()) - mean_loss) * max(0.02, 1 / step)
        if step % 50 == 0:
            elapsed = time.time() - start
            line = {
                "phase": phase.name,
                "step": step,
                "tokens": seen,
                "seconds": round(elapsed),
                "loss": round(mean_loss, 4),
                "tokens_per_second": round(seen / elapsed),
            }
            if step % 500 == 0:
                line |= quick_scores(model, sp, phase.rope_factor)
            print(json.dumps(line), flush=True)
        if time.time() - saved > 180:
            saved = time.time()
            save(
                model,
                paths["out"],
                {"phase": asdict(phase), "steps": step, "tokens": seen, "finished": False},
            )
    if rank == 0:
        notes = {
            "phase": asdict(phase),
            "steps": step,
            "tokens": seen,
            "seconds": round(time.time() - start),
            "finished": True,
        }
        save(model, paths["out"], notes)
        print(
            json.dumps({"finished": notes} | quick_scores(model, sp, phase.rope_factor, count=60)), flush=True
        )


def run(
    phase: Phase,
    tokenizer_path: pathlib.Path,
    out: pathlib.Path,
    start_from: pathlib.Path | None = None,
    shape: Shape = Shape(),
) -> None:
    torch.manual_seed(phase.seed)
    model = load(start_from) if start_from else Llama(shape)
    model.share_memory()
    sums = torch.zeros(phase.processes, sum(p.numel() for p in model.parameters())).share_memory_()
    stop = torch.zeros(1).share_memory_()
    context = mp.get_context("fork")
    barrier = context.Barrier(phase.processes)
    paths = {"tokenizer": tokenizer_path, "out": out}
    workers = [
        context.Process(target=_worker, args=(r, phase, model, sums, stop, barrier, paths))
        for r in range(phase.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"a training process of phase {phase.name} failed; its traceback is above")
