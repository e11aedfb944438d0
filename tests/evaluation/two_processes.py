"""An evaluation of 13 pictures; run as a program, alone or as one of two processes.

python -m tests.evaluation.two_processes OUT [PROCESS_ID PORT]
"""

import contextlib
import json
import pathlib
import sys

import jax
import numpy as np

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import Scoring, evaluate, image_measures, protocols, run
from bitdiff_jax.inference import placement, programs
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel import hosts
from bitdiff_jax.parallel import mesh as mesh_lib
from tests.evaluation.stubs import ListSource, StubModel, count_rows, make_source, tiny_model


class Broken(ListSource):
    """The last picture cannot be read: process 0 of two has it."""

    def __getitem__(self, index):
        if index == 12:
            raise InputError("picture012 is torn")
        return super().__getitem__(index)


def table_of(evaluation):
    """Names and figures; NaN are not equal to themselves."""
    table = evaluation.table
    return [table.names, np.where(np.isnan(table.values), -7, table.values).tolist()]


def resumed(out, source, options):
    """A first start that ends after some pictures, and a second one; each has its own disk."""
    path = pathlib.Path(f"{out}.jsonl")
    run._ROUND = 2

    def stop(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        evaluate(StubModel("noise"), {}, source, rows_file=path, progress=stop, **options)
    told = []
    evaluation = evaluate(
        StubModel("noise"),
        {},
        source,
        rows_file=path,
        resumed=lambda *each: told.append(each),
        **options,
    )
    return {
        "resumed": table_of(evaluation),
        "resumed_told": told,
        "num_drawn": evaluation.num_drawn,
        "has_file": path.exists(),
    }


def main(out, process_id=None, port=None):
    if process_id is not None:
        hosts.initialize(hosts.Settings("explicit", f"127.0.0.1:{port}", 2, int(process_id), 120))
    result = {"devices": jax.device_count(), "processes": jax.process_count()}
    calls = count_rows()
    source = make_source(13)
    options = dict(sampler=Sampler(2), request=Request(3, batch_size=8))
    options["scoring"] = Scoring((protocols.NATIVE,), image_measures.TABLE_MEASURES)
    told = []
    evaluation = evaluate(
        StubModel("noise"),
        {},
        source,
        num_shown=5,
        progress=lambda *each: told.append(each),
        **options,
    )
    result["rows"] = table_of(evaluation)
    result["means"] = {k: v for k, v in evaluation.means().items() if np.isfinite(v)}
    result["sheet"] = evaluation.sheet().tolist()
    result["shown"] = [evaluation.drawn[i].name for i in sorted(evaluation.drawn)]
    result["calls"], result["told"] = list(calls), told[-1]

    # One picture: the second process has none, and draws all the same.
    calls.clear()
    result["single"] = table_of(evaluate(StubModel("noise"), {}, make_source(1), **options))
    result["single_calls"] = list(calls)
    result |= resumed(out, source, options)

    # A true network, with parameters split over the devices as a training leaves them.
    model, params = tiny_model()
    mesh = mesh_lib.make_mesh(data=1, fsdp=-1)

    def split(x):
        fits = x.ndim and x.shape[-1] % mesh.size == 0
        spec = jax.P(*[None] * (x.ndim - 1), "fsdp") if fits else jax.P()
        sharding = jax.sharding.NamedSharding(mesh, spec)
        return jax.make_array_from_callback(x.shape, sharding, x.__getitem__)

    params = jax.tree.map(split, params)
    assert not all(x.is_fully_replicated for x in jax.tree.leaves(params))
    request = Request(batch_size=8, min_area=0)
    drawn = evaluate(model, params, source, Sampler(2), request, mesh=mesh, num_shown=13)
    result["codes"] = [drawn.drawn[i].codes.ravel().tolist() for i in range(13)]

    try:
        evaluate(StubModel("noise"), {}, Broken(source.items), **options)
    except InputError as error:
        result["error"] = str(error)
    pathlib.Path(out).write_text(json.dumps(result))

    if process_id is None:
        result["program"] = sampler_text(model, params, mesh)
        pathlib.Path(out).write_text(json.dumps(result))


def sampler_text(model, params, mesh):
    """The compiled text of the sampler, as `draw` calls it."""
    placed = placement.on_mesh(params, mesh)
    lowered = programs.lower(model, placed, Sampler(2), mesh, 2 * mesh.size)
    return lowered.compile().as_text()


if __name__ == "__main__":
    main(*sys.argv[1:])
