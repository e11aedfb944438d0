"""What the paper's network and ours need on TPUs and GPUs; writes docs/accelerators.md.

    nice -n 15 python -m benchmarks.predicted.compile_table  # compiles what is not known, hours
    python -m benchmarks.predicted.compile_table --page_only  # writes the page from what is known

Each finished row goes to compile_table.json with a hash of its program, its machine and
the compiler's versions; a row of the same hash is not compiled again. Needs the extra `compile`.
"""

import argparse
import datetime
import pathlib

import jax

from benchmarks.predicted.compiled import FOLD, Row, Table, attempt
from bitdiff_jax.compile import accelerators, compiled_figures, fit, remote, text

HERE = pathlib.Path(__file__).resolve().parent
ROWS_FILE = HERE / "compile_table.json"
PAGE = HERE.parents[1] / "docs" / "accelerators.md"

# In the order in which they are compiled: about three minutes each on two idle cores.
ROWS = (
    Row("paper", "v5e-8", 1, "train", FOLD),
    Row("paper", "v5e-1", 8, "train", FOLD),
    Row("paper", "v5e-256", 8, "train", FOLD),
    Row("paper", "h100-1", 8),
    Row("base", "v5e-1", 8),
    Row("base", "h100-1", 8),
    Row("paper", "h100-1", 8, "sample"),
    Row("entities", "v5e-8", 8),
)
# Where the largest batch is looked for: (config, accelerator, overrides). A TPU takes any batch in
# parts, and is the faster for it; see docs/performance.md.
FITS = (("paper", "h100-1", ()),)


def main() -> None:
    """Compiles the rows one after the other, and writes the page after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page_only", action="store_true", help="compile nothing")
    parser.add_argument("--folder", help="where compiled programs are kept")
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    table = Table(ROWS_FILE, args.folder)
    if not args.page_only:
        for row in ROWS:
            attempt(lambda row=row: table.compile(row), row.name)
            PAGE.write_text(page(table))
        for config, accelerator, overrides in FITS:

            def compile_batch(
                batch: int, config=config, accelerator=accelerator, overrides=overrides
            ) -> remote.Measured:
                row = Row(config, accelerator, batch, "train", overrides)
                measured = table.compile(row).measured
                PAGE.write_text(page(table))
                return measured

            usable = accelerators.find(accelerator).chip.usable
            attempt(lambda f=compile_batch, u=usable: fit.find(f, u, 8), f"fit {accelerator}")
    PAGE.write_text(page(table))


def page(table: Table) -> str:
    """docs/accelerators.md."""
    dates = sorted({known["measured"]["date"] for known in table.rows.values()})
    sections = [
        _INTRODUCTION,
        f"## The table\n\nCompiled {' to '.join(dict.fromkeys((dates[0], dates[-1])))} by "
        f"`python -m benchmarks.predicted.compile_table`, in bfloat16. "
        "**Nothing of it ran on hardware.**\n\n"
        f"{_programs(table)}\n\n{_reading()}"
        if dates
        else "",
        _one_image(table),
        _largest(table),
        _example(table),
        f"## The accelerators\n\n{_machines()}",
        f"Written {datetime.date.today().isoformat()}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_INTRODUCTION = """\
# What an accelerator would need, without one

    pip install '.[compile]'        # in an environment of its own: the compilers are large
    bitdiff compile --config paper --accelerator v5e-8 --config.model.net.dtype=bfloat16

compiles the training step and the sampler, the same that `bitdiff train` and `bitdiff segment` run,
for a machine that is not there, with the compiler of that machine. It tells memory, arithmetic,
communication, size of the code, and the largest batch that fits. No TPU or GPU is needed, and none
is touched: each compilation is a process of its own, on the CPU.

| option | meaning |
|---|---|
| `--accelerator NAME` | v5e-1 ... v5e-256, v6e-1 ... v6e-256, v5p-8 ..., h100, h100-8, a100, a100-8 |
| `--program train sample` | one of the two, or both |
| `--per_device_batch N` | images a device; without it, the config's batch is shared out |
| `--no_fit` | does not look for the largest batch: up to three compilations less |
| `--breakdown [N]` | where cycles and bytes go, by part of the net and by kind of work, and the N dearest operations |
| `--json FILE` | all figures |
| `--config.KEY=VALUE` | as for `bitdiff train`; `mesh.fsdp`, `model.net.remat`, `train.accumulate` tell here what they save |

The paper's network takes two to four minutes a program on two idle cores. Programs are known by a
hash of their text, the machine and the compiler's versions, and are not compiled again; they lie in
`~/.cache/bitdiff_jax/compiled`."""  # noqa: E501


def _reading() -> str:
    return """\
How to read it, and what is not in it:

- **Images** are those of one device; the paper's batch is 8 in all. With another number in all the
  learning rate is left as the config has it, and the command says so.
- **TPUs** compute the paper's network folded, with `model.net.fold=true`, as the scripts of
  `launch/` set it; [performance.md](performance.md) tells what that is.
- **Memory** is one device's: arguments, temporaries, code. The input pipeline's next batch, JAX's
  own room and, on GPUs, what cuDNN takes for its algorithms are not in it.
- **Model FLOPs** are analytic: the multiply-adds of convolutions and products, times 2, forward
  once and backward twice. **Compiled** is what the compiler made of them, loops as often as they
  run; recomputation and what is multiplied with zeros to suit a matrix unit come on top.
- **Prediction** is the sum of the TPU compiler's estimates of cycles, over the clock. The compiler
  has none for collectives and copies; what runs at the same time is added up. It is no measurement;
  what a real step takes may differ by a factor. There is none for GPUs.
- **At the peaks** each operation takes what its arithmetic or its memory traffic takes at the
  chip's peak, whichever is longer; of an operand that is read in part, all is counted.
- **Collectives** are operations and bytes handed to them, per device and step."""


def _programs(table: Table) -> str:
    lines = [
        "| config, program | accelerator | images | memory | model FLOPs | compiled | prediction | "
        "utilisation | at the peaks | collectives | code | compiler, CPU time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        each = table.get(row)
        if each is None:
            lines.append(f"| {row.config}, {row.program} | {row.accelerator} | {row.per_device} | "
                         f"not compiled yet {'| ' * 9}")  # fmt: skip
        else:
            lines.append(_line(row, each))
    return "\n".join(lines)


def _line(row: Row, each: compiled_figures.Report) -> str:
    total, code = each.costs, each.measured.memory.get("code", 0)
    collectives = "-"
    if total and total.collectives:
        count = sum(n for n, _ in total.collectives.values())
        collectives = f"{count}, {text.amount(sum(b for _, b in total.collectives.values()), 'B')}"
    cells = [
        f"{row.config}, {row.program}",
        row.accelerator,
        str(row.per_device),
        f"{text.amount(each.needed, 'B')} of {text.amount(each.usable, 'B')}",
        text.amount(each.model_flops, "FLOP"),
        text.amount(total.flops, "FLOP") if total else "-",
        text.duration(each.predicted_seconds) if each.predicted_seconds else "-",
        f"{each.utilisation:.0%}" if each.utilisation else "-",
        text.duration(each.peak_seconds) if each.peak_seconds else "-",
        collectives,
        text.amount(code, "B") if code else "-",
        f"{each.measured.compile_cpu_seconds / 60:.0f} min"
        if each.measured.compile_cpu_seconds
        else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def _one_image(table: Table) -> str:
    """What the paper's batch of 8 on 8 chips costs."""
    few, many = (table.get(row) for row in ROWS[:2])
    if not few or not few.predicted_seconds:
        return ""
    hours = few.predicted_seconds * 300_000 / 3600
    lines = [
        "## One image a chip",
        "The paper's 300,000 steps of 8 images on a v5e-8 are predicted to take "
        f"{hours:.1f} hours, {text.duration(few.predicted_seconds)} a step, collectives left out.",
    ]
    if many and many.predicted_seconds:
        ratio = few.predicted_seconds / (many.predicted_seconds / 8)
        lines.append(
            f"An image costs {text.duration(few.predicted_seconds)} of a chip where each has one, "
            f"{text.duration(many.predicted_seconds / 8)} where each has 8: with the paper's batch "
            f"8 chips are {8 / ratio:.1f} times as fast as one, not 8 times. More images a step "
            "would use them better and make another training of it."
        )
    return "\n\n".join(lines)


def _largest(table: Table) -> str:
    lines = [
        "| config | accelerator | memory | largest batch a device | images: predicted step |",
        "|---|---|---|---|---|",
    ]
    for config, accelerator, overrides in FITS:
        found = table.batches(config, accelerator, overrides)
        if len(found) < 2:
            continue
        points = [(batch, each.needed) for batch, each in found.items()]
        line = fit.line(*points[:2])
        usable = accelerators.find(accelerator).chip.usable
        fitting = max((batch for batch, each in found.items() if each.fits), default=0)
        promised = line.largest(usable)
        confirmed = fitting if fitting >= promised else f"{promised} by the line"
        steps = ", ".join(
            f"{batch}: {text.duration(each.predicted_seconds)}"
            for batch, each in found.items()
            if each.predicted_seconds
        )
        name = config + "".join(f" `{o}`" for o in overrides)
        lines.append(
            f"| {name} | {accelerator} | {text.amount(line.fixed, 'B')} + "
            f"{text.amount(line.image, 'B')} an image | {confirmed} | {steps or '-'} |"
        )
    if len(lines) == 2:
        return ""
    return (
        "## The largest batch\n\nA line through the memory of two batches, and the batch that it "
        "promises compiled to be sure.\n\n" + "\n".join(lines)
    )


def _example(table: Table) -> str:
    each = table.get(ROWS[0])
    if each is None:
        return ""
    printed = text.render(each).replace("\n", "\n    ")
    return f"## What the command prints\n\n    {printed}"


def _machines() -> str:
    lines = [
        "| chip | memory | a program may use | bfloat16 peak | bandwidth | clock | names |",
        "|---|---|---|---|---|---|---|",
    ]
    chips = dict.fromkeys(row.chip for row in accelerators.ACCELERATORS.values())
    for chip in chips:
        names = [n for n, row in accelerators.ACCELERATORS.items() if row.chip == chip]
        clock = f"{chip.clock / 1e9:g} GHz" if chip.clock else "-"
        lines.append(
            f"| {chip.kind} | {text.amount(chip.memory, 'B')} | {text.amount(chip.usable, 'B')} | "
            f"{chip.peak_flops / 1e12:g} TFLOP/s | {chip.bandwidth / 1e9:g} GB/s | {clock} | "
            f"{', '.join(names)} |"
        )
    return "\n".join(lines) + (
        "\n\nv5p is named by its cores, two to a chip. What a program may use is what a TPU's "
        "compiler allows, and on GPUs the three quarters that JAX takes "
        "(`XLA_PYTHON_CLIENT_MEM_FRACTION`)."
    )


if __name__ == "__main__":
    main()
