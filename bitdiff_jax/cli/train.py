"""`bitdiff train --config NAME[:variant] --workdir DIR [--init NAME] [--config.key=value ...]`."""

import argparse
import difflib
import shlex
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import options, own_options
from bitdiff_jax.errors import InputError

_EPILOG = """\
--config.KEY=VALUE changes one setting, for instance
  --config.data.train=folder:my_pictures,split=train --config.train.batch_size=16
A tuple is written whole and in quotes: "--config.model.net.channel_multipliers=(1,2,2)",
  "--config.mesh.rules=('.*/qkv/.* replicate', '.* fsdp')"
All keys are in bitdiff_jax/config.py. Running the same command again resumes the training."""

# What a setting takes, by the type of its default.
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a tuple in quotes, such as '(1,2)'",
}


def main(argv: list[str]) -> int:
    """Parses the command line and trains."""
    parser = options.Parser(
        prog="bitdiff train",
        description="Train a model, or resume a training.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_config(parser.add_argument)
    parser.add_argument("--workdir", required=True, help="the run's folder; may be gs://...")
    parser.add_argument(
        "--init",
        metavar="NAME",
        help="trained weights to start from, as --weights of `bitdiff segment` takes them; what is "
        "kept and what is new is told, and a resumed training goes on from its own checkpoint",
    )
    parser.add_argument(
        "--dry_run",
        "--dry-run",
        action="store_true",
        help="check the settings, open the data, read a batch, tell what to expect; write nothing",
    )
    args, overrides = parser.parse_known_args(argv)
    if not args.workdir:  # such as a shell's variable that is not set
        raise InputError("--workdir is empty; name a folder")
    config = override(config_lib.load(args.config), overrides, parser)

    # After the parsing: they import jax.
    import jax

    from bitdiff_jax import config_checks
    from bitdiff_jax.compile import accelerators
    from bitdiff_jax.parallel import compilation_cache, dispatch, hosts
    from bitdiff_jax.training import dry_run, loop

    config_checks.check(config)
    dispatch.split_cpu(config.mesh.cpu_devices)
    hosts.initialize(hosts.Settings(**config.hosts))
    if args.dry_run:
        dry_run.dry_run(config, args.workdir, args.init)
        return 0
    compilation_cache.enable()
    if not config.telemetry.peak_flops:
        kind, dtype = jax.devices()[0].device_kind, config.model.net.dtype
        config.telemetry.peak_flops = accelerators.peak_flops(kind, dtype) or 0.0
    loop.train(config, args.workdir, init=args.init)
    if jax.process_index() == 0 and config.train.checkpoint_every:
        workdir = shlex.quote(args.workdir)
        print(f"next: bitdiff segment photo.jpg --checkpoint {workdir} --out segmented")
    return 0


def override(
    config: ConfigDict, overrides: list[str], parser: options.Parser | None = None
) -> ConfigDict:
    """Applies `--config.KEY=VALUE` arguments.

    Args:
        config: what they change.
        overrides: the arguments.
        parser: of the other options, to tell a misspelt one of them.

    Raises:
        InputError: an unknown key, or a value of another type.
    """
    for argument in overrides:
        if argument.startswith("-") and not argument.startswith("--config."):
            raise _unexpected(argument, config, parser)
    overrides = own_options.take(config, overrides)
    values = flags.FlagValues()
    argv = ["bitdiff train", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        rest = values(argv)[1:]
    except (AttributeError, KeyError) as error:
        unknown = [o for o in overrides if not _is_key(config, o)] or overrides
        raise InputError(
            f"unknown setting {' '.join(unknown)}{_similar_key(config, unknown[0])}; "
            "all keys are in bitdiff_jax/config.py"
        ) from error
    except (flags.Error, TypeError, ValueError) as error:
        raise InputError(_wrong_value(overrides, config, str(error))) from error
    if rest:
        raise _unexpected(rest[0], config, parser)
    # Worker processes of the input pipeline read absl's global flags.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return values.config


def _wrong_value(overrides: list[str], config: ConfigDict, told: str) -> str:
    """What to write instead of a value of another type than its setting's."""
    for argument in overrides:
        name, _, value = argument.partition("=")
        if f"flag {argument}:" not in told or not _is_key(config, argument):
            continue
        setting: Any = config
        for part in name.removeprefix("--config.").split("."):
            setting = setting[part]
        if type(setting) in _KINDS:
            return f"{name} is {value!r}; use {_KINDS[type(setting)]}"
    return " ".join(told.split())


def _unexpected(argument: str, config: ConfigDict, parser: options.Parser | None) -> InputError:
    hint = parser.similar_option(argument) if parser else ""
    if not hint and argument.startswith("-"):
        hint = _similar_key(config, argument)
    return InputError(f"unexpected argument {argument!r}{hint}; settings are --config.KEY=VALUE")


def _similar_key(config: ConfigDict, argument: str) -> str:
    """'; did you mean ...' with the setting that a misspelt argument is closest to, or ''."""
    name, equals, value = argument.lstrip("-").partition("=")
    name = name.removeprefix("config.")
    known = list(_keys(config))
    last = name.rpartition(".")[2]
    # The right name in the wrong place is a closer miss than any that is spelt alike.
    same = [key for key in known if key.rpartition(".")[2] == last]
    found = difflib.get_close_matches(name, same or known, n=1, cutoff=0.0 if same else 0.7)
    if not found:
        lasts = {key.rpartition(".")[2]: key for key in known}
        found = [lasts[x] for x in difflib.get_close_matches(last, lasts, n=1, cutoff=0.75)]
    return f"; did you mean --config.{found[0]}{equals}{value}?" if found else ""


def _keys(config: ConfigDict, prefix: str = "") -> list[str]:
    """The dotted names of all settings."""
    found: list[str] = []
    for key, value in config.items():
        inner = isinstance(value, ConfigDict)
        found += _keys(value, f"{prefix}{key}.") if inner else [prefix + key]
    return found


def _is_key(config: ConfigDict, argument: str) -> bool:
    """Whether `--config.a.b=value` names a setting that there is."""
    return argument.lstrip("-").partition("=")[0].removeprefix("config.") in _keys(config)
