"""The options that several subcommands share, and how a command line is refused."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from bitdiff_jax import config as config_lib
from bitdiff_jax import extensions, files
from bitdiff_jax.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.evaluation import protocols
    from bitdiff_jax.inference.loading import Loaded
    from bitdiff_jax.metrics import Measure

# Names that `bitdiff_jax.diffusion` knows, which imports jax and so is not imported here.
METHODS = ("ddpm", "ddim", "dpmpp_2m")
PRESETS = ("accurate", "faithful")


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, without all the options before it."""

    _argv: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `argparse` does; what is misspelt is remembered for the message."""
        self._argv = sys.argv[1:] if args is None else args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2."""
        hints = {
            each.partition("=")[0]: self.similar_option(each)
            for each in self._argv
            if each.startswith("--")
        }
        # Named, since the message may be of what is missing for it.
        hint = next((f"; {name} is no option{hint}" for name, hint in hints.items() if hint), "")
        self.exit(2, f"{self.prog}: error: {message}{hint}; see {self.prog} --help\n")

    def similar_option(self, argument: str) -> str:
        """'; did you mean --OPTION?' for a misspelt option, '' for a right or a strange one."""
        name, known = argument.partition("=")[0], self._option_string_actions
        if name in known or name.startswith("--config."):
            return ""
        return did_you_mean(name, known)


def add_config(add: Callable[..., Any]) -> None:
    """The option that names a config."""
    add(
        "--config",
        required=True,
        metavar="NAME[:VARIANT]",
        help=f"one of {', '.join(config_lib.names())}, or a path to a config file",
    )


def add_weights(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """The options that say which trained model; `load_weights` takes them.

    Args:
        parser: gets them.
        default: the model that is meant when neither is given; None if one has to be.
    """
    add = parser.add_mutually_exclusive_group(required=default is None).add_argument
    add(
        "--weights",
        metavar="NAME",
        default=default,
        help="a model that comes with the package, such as photos; the --workdir of a training; a "
        "folder or file of `bitdiff pack`; or a Hugging Face repository OWNER/NAME[@REVISION]"
        + (f" ({default})" if default else ""),
    )
    add("--checkpoint", metavar="DIR", help="the --workdir of a training")


def add_param_set(add: Callable[..., Any]) -> None:
    """The option that says which parameters of a training are used."""
    add(
        "--param_set",
        choices=("ema", "raw"),
        help="the averaged or the last parameters of a training (the checkpoint's choice)",
    )


def weights_name(args: argparse.Namespace) -> str:
    """What the options of `add_weights` name, as it was written."""
    return str(args.weights if args.checkpoint is None else args.checkpoint)


def load_weights(
    args: argparse.Namespace, param_set: str | None = None, *, mesh: "Mesh | None" = None
) -> "Loaded":
    """The model that the options of `add_weights` name; prints its terms of use, if any are known.

    Raises:
        InputError: see `bitdiff_jax.inference.load`.
    """
    import jax

    from bitdiff_jax.inference import loading

    name = weights_name(args)
    load = loading.load if args.checkpoint is None else loading.load_checkpoint
    loaded = load(name, param_set, mesh=mesh)
    if loaded.licence and jax.process_index() == 0:
        print(loaded.notice(name), flush=True)
    return loaded


def add_scoring(add: Callable[..., Any]) -> None:
    """The options that say what is computed, and by whom."""
    add(
        "--score_size",
        default="128,0",
        metavar="N[,N]",
        help="longest sides at which maps are compared; 0 is the truth's own (128,0)",
    )
    add(
        "--protocol",
        choices=("honest", "paper"),
        default="honest",
        help="paper: 128 px, truth merged to 64 regions, background a class, as in arXiv "
        "2601.02881; the honest figures at 128 px stand beside it, with the difference",
    )
    add("--num_images", type=positive, metavar="N", help="the first N pictures only")
    add(
        "--fast",
        action="store_true",
        help="leave out the metrics of boundaries, which take most of the time",
    )
    add(
        "--measures",
        metavar="MODULE:NAME[,...]",
        help="own measures beside these: bitdiff_jax.metrics.Measure values, or lists of them, by "
        "package.module:name",
    )
    add("--all", action="store_true", help="print every metric, by its short name")
    add("--workers", type=natural, default=0, metavar="N", help="processes that score (0: this)")
    add("--sheet", type=natural, default=8, metavar="N", help="pictures to show (8)")


def add_output(add: Callable[..., Any]) -> None:
    """The options of `bitdiff evaluate` that say what is written."""
    add("--out", metavar="DIR", help="folder for the results; made if need be")
    add("--html", action="store_true", help="also report.html: plots, best and worst pictures")


def add_sampler(add: Callable[..., Any]) -> None:
    """The options that say how maps are drawn; all but the preset are keys of `config.sampling`."""
    add(
        "--preset",
        choices=PRESETS,
        help="how maps are drawn, but for what other options say: accurate for the best single "
        "map, faithful for samples whose frequencies can be trusted (the checkpoint's settings)",
    )
    add(
        "--num_steps",
        type=positive,
        metavar="N",
        help="evaluations of the network for each map (the checkpoint's)",
    )
    add(
        "--guidance_weight",
        type=float,
        metavar="W",
        help="how strongly the picture is followed; 0 is the plain conditional model, in half the "
        "time (the checkpoint's)",
    )
    add(
        "--temperature",
        type=float,
        metavar="T",
        help="factor of the noise that maps are drawn from: below 1 they are more probable and "
        "vary less, 0 draws one map whatever the seed (the checkpoint's)",
    )


def sampler_fields(args: argparse.Namespace) -> dict[str, Any]:
    """What the options of `add_sampler` say, by the fields of `Sampler`; None is not said."""
    return {name: getattr(args, name) for name in ("num_steps", "guidance_weight", "temperature")}


def sampler_of(args: argparse.Namespace, sampler: "Sampler") -> "Sampler":
    """A checkpoint's sampler, with what the preset and the options say otherwise."""
    from bitdiff_jax.diffusion import presets

    if args.preset is not None:
        sampler = presets.applied(args.preset, sampler)
    return sampler.override(**sampler_fields(args))


def sampler_settings(args: argparse.Namespace, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """`config.sampling` of a checkpoint, with what the preset and options of these names say."""
    from bitdiff_jax.diffusion import presets
    from bitdiff_jax.diffusion.sampler import SETTINGS

    settings = {name: sampling[name] for name in SETTINGS}
    if (preset := getattr(args, "preset", None)) is not None:
        settings |= presets.settings(preset)
    return settings | {k: v for k in settings if (v := getattr(args, k, None)) is not None}


def method(text: str) -> str:
    """The name of a step method, for argparse."""
    if text not in METHODS and not extensions.is_reference(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {', '.join(METHODS)} or of the form package.module:name"
        )
    return text


def natural(text: str, low: int = 0) -> int:
    """A whole number, for argparse."""
    if not text.isdecimal() or int(text) < low:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {low} or more")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    return natural(text, low=1)


def output_folder(args: argparse.Namespace) -> Any:
    """The folder of --out, made, or None; before the work, so that a bad path costs no time.

    Raises:
        InputError: it cannot be made, or --html has nowhere to go.
    """
    if args.html and not args.out:
        raise InputError("--html writes report.html into a folder: name it with --out DIR")
    return None if args.out is None else files.make_folder(args.out, "--out")


def views_of(protocol: str, sizes: str) -> "tuple[protocols.View, ...]":
    """The views that the options ask for."""
    from bitdiff_jax.evaluation import protocols

    if protocol == "paper":
        return protocols.PAPER, protocols.HONEST
    parts = [part.strip() for part in sizes.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--score_size={sizes}: say whole numbers joined by commas, as in 128,0")
    return protocols.at_sizes([int(part) for part in parts])


def measures_of(args: argparse.Namespace) -> "tuple[Measure, ...]":
    """The measures that the options ask for.

    Raises:
        InputError: `--measures` names something that is no measure, or one of a name that is taken.
    """
    from bitdiff_jax.evaluation import image_measures

    chosen = list(image_measures.TABLE_MEASURES if args.fast else image_measures.MEASURES)
    for text in args.measures.split(",") if args.measures else ():
        found = extensions.resolve(text.strip(), "--measures")
        chosen += found if isinstance(found, list | tuple) else [found]
    image_measures.names(chosen)  # the check, before any work
    return tuple(chosen)


def edges_of(args: argparse.Namespace) -> str:
    """How drawn maps get the image's size: as told, and otherwise as the protocol has it."""
    from bitdiff_jax.inference import upsampling

    return args.edges or ("nearest" if args.protocol == "paper" else upsampling.EDGES[0])


def min_area_of(args: argparse.Namespace) -> str:
    """The area under which pieces of drawn maps are specks, as text for `specks.threshold`.

    Raises:
        InputError: `--min_area` is no area.
    """
    from bitdiff_jax.inference import specks

    if args.min_area is None:
        return "0" if args.protocol == "paper" else specks.DEFAULT
    specks.threshold(args.min_area, (1, 1), (1, 1))
    return args.min_area
