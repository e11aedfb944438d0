"""`bitdiff compile --config NAME[:variant] --accelerator NAME [options]`."""

import argparse
import json
import tempfile
from typing import TYPE_CHECKING, Any

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import options
from bitdiff_jax.cli.train import override
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from bitdiff_jax.compile.compiled_figures import Report
    from bitdiff_jax.compile.remote import Measured
    from bitdiff_jax.tools.xla_cost.breakdown import Breakdown

_DESCRIPTION = """\
Compile the training step and the sampler for a machine that is not there, and tell what they need:
memory, arithmetic, communication, the largest batch that fits. Nothing runs, so no time is
measured; what is called a prediction is the compiler's own estimate."""

_EPILOG = """\
The compilers are plugins: pip install 'bitdiff_jax[compile]', best in an environment of its own.
The paper's network takes about 7 minutes a program on two cores, and the largest batch up to three
programs more (--no_fit leaves it out). What was compiled before is not compiled again.
--config.KEY=VALUE changes one setting, as for `bitdiff train`."""


def main(argv: list[str]) -> int:
    """Parses the command line, compiles and prints.

    Raises:
        InputError: a name or batch that cannot be used, or no compiler.
    """
    parser = _parser()
    args, overrides = parser.parse_known_args(argv)
    config = override(config_lib.load(args.config), overrides, parser)

    # After the parsing: they import jax.
    import jax

    from bitdiff_jax import config_checks, files
    from bitdiff_jax.compile import accelerators, remote

    config_checks.check(config)

    # This process only asks and reports: the compilers are for the processes it starts.
    jax.config.update("jax_platforms", "cpu")

    accelerator = accelerators.find(args.accelerator)
    accelerators.require_compiler(accelerator)
    batch = per_device_batch(config, accelerator.devices, args.per_device_batch)
    if args.breakdown is not None and args.breakdown < 0:
        raise InputError(f"--breakdown is {args.breakdown}; use 0 or more operations")
    with tempfile.TemporaryDirectory() as temporary:
        compiler = _Compiler(config, args.accelerator, remote.folder() or temporary)
        rows, fit = [], None
        for program in args.program:
            report = compiler.report(program, batch)
            rows.append(report.to_json())
            _show(report)
            if args.breakdown is not None and report.costs:
                rows[-1]["breakdown"] = _break_down(compiler, program, batch, args.breakdown)
            if program == "train" and not args.no_fit:
                fit = _largest(compiler, accelerator.chip.usable, batch)
    if args.json:
        found = {"programs": rows, "fit": fit}
        files.write(args.json, (json.dumps(found, indent=2) + "\n").encode())
    return 0


def per_device_batch(config: "ConfigDict", devices: int, wanted: int | None) -> int:
    """Images a device: what is wanted, or the config's global batch shared out.

    Raises:
        InputError: that cannot be shared out, or is less than one.
    """
    if wanted is not None:
        if wanted < 1:
            raise InputError(f"--per_device_batch is {wanted}; use 1 or more")
        return wanted
    batch = config.train.batch_size
    if batch % devices:
        raise InputError(
            f"config.train.batch_size={batch} cannot be shared out among {devices} devices; give "
            "--per_device_batch, with which a step has another number of images than the config's"
        )
    return batch // devices


class _Compiler:
    """Compiles programs of one config for one accelerator."""

    def __init__(self, config: "ConfigDict", accelerator: str, folder: str):
        from bitdiff_jax.compile import accelerators

        self._config = config
        self._accelerator = accelerators.find(accelerator)
        self._folder = folder
        self._measured: dict[tuple[str, int], Measured] = {}

    def measure(self, program: str, batch: int) -> "Measured":
        from bitdiff_jax.compile import remote

        if (program, batch) not in self._measured:
            name, count = self._accelerator.name, batch * self._accelerator.devices
            print(f"compiling for {name}, {batch} image(s) a device ...", flush=True)
            values = json.loads(self._config.to_json_best_effort())
            request = remote.Request(values, name, program, count, self._folder)
            self._measured[program, batch] = remote.compile_remotely(request)
        return self._measured[program, batch]

    def text(self, program: str, batch: int) -> str:
        from bitdiff_jax.compile import remote

        return remote.program_text(self.measure(program, batch), self._folder)

    def report(self, program: str, batch: int) -> "Report":
        from bitdiff_jax.compile import compiled_figures

        measured = self.measure(program, batch)
        return compiled_figures.make(measured, self.text(program, batch), self._config)

    def breakdown(self, program: str, batch: int, dearest: int) -> "Breakdown":
        from bitdiff_jax.tools.xla_cost import breakdown

        text = self.text(program, batch)
        return breakdown.breakdown(text, self._accelerator.chip, dearest)


def _show(report: "Report") -> None:
    from bitdiff_jax.compile import text

    print(f"\n{text.render(report)}\n")
    if note := text.batch_note(report):
        print(f"{note}\n")


def _break_down(compiler: _Compiler, program: str, batch: int, dearest: int) -> dict[str, Any]:
    from bitdiff_jax.compile import text

    found = compiler.breakdown(program, batch, dearest)
    print(f"{text.render_breakdown(found)}\n")
    return found.to_json()


def _largest(compiler: _Compiler, usable: int, batch: int) -> dict[str, Any]:
    from bitdiff_jax.compile import fit as fit_lib
    from bitdiff_jax.compile import text

    fit = fit_lib.find(lambda b: compiler.measure("train", b), usable, batch)
    reports = {b: compiler.report("train", b) for b in {batch, *fit.compiled}}
    print(f"\n{text.render_fit(fit, reports)}\n")
    return {
        "fixed_bytes": fit.line.fixed,
        "image_bytes": fit.line.image,
        "largest": fit.largest,
        "programs": [r.to_json() for _, r in sorted(reports.items())],
    }


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="bitdiff compile",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    options.add_config(add)
    add("--accelerator", required=True, metavar="NAME", help="v5e-8, v6e-8, v5p-8, h100, a100, ...")
    add(
        "--program",
        nargs="+",
        choices=("train", "sample"),
        default=["train", "sample"],
        help="what to compile (both)",
    )
    add(
        "--per_device_batch",
        "--per-device-batch",
        type=int,
        metavar="N",
        help="images a device (the config's batch shared out)",
    )
    add("--no_fit", "--no-fit", action="store_true", help="do not look for the largest batch")
    add(
        "--breakdown",
        type=int,
        nargs="?",
        const=20,
        metavar="N",
        help="show where cycles and bytes go, and the N dearest operations (20)",
    )
    add("--json", metavar="FILE", help="write all figures there")
    return parser
