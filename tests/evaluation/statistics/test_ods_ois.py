import json
import math

import numpy as np
import pytest
from skimage.metrics import variation_of_information
from sklearn.metrics import rand_score

from bitdiff_jax import metrics
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.evaluation import protocols
from bitdiff_jax.evaluation.statistics import ods_ois
from tests.metrics import cases, oracle

LEVELS = ("0.05", "0.5", "4", "12")


def _images(count, seed=0, shape=(26, 34)):
    """(maps of the levels, people) each: fine to coarse, people between."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(count):
        fine = cases.blocks(rng, shape, 14).astype(np.int32)
        order = rng.permutation(14)
        maps = [order[fine] % n for n in (14, 7, 4, 2)]
        annotators = [np.roll(order[fine] % rng.integers(2, 9), 1, 0) for _ in range(1 + i % 3)]
        if i % 2:
            annotators[0] = np.where(rng.random(shape) < 0.2, -1, annotators[0])
        if i == 1:
            maps[2] = np.where(rng.random(shape) < 0.1, -1, maps[2])
        result.append(([each.astype(np.int32) for each in maps], annotators))
    return result


def _pixels(pred, truth):
    """Pixels that count; a hole's id is small again, as skimage's table wants it."""
    p, t = oracle.valid_ids(pred, truth)
    return np.unique(p, return_inverse=True)[1], t


def _directly(pictures):
    """Every figure by loops over pictures, levels and people."""
    covering = lambda p, t: sum(  # noqa: E731
        (t == i).sum() * row.max() for i, row in zip(np.unique(t), iou(p, t), strict=True)
    )
    iou = oracle.iou_matrix
    covered = np.zeros((len(pictures), len(LEVELS)))
    rand, vi = np.zeros_like(covered), np.zeros_like(covered)
    pixels, any_, counts = [], 0.0, []
    for i, (maps, annotators) in enumerate(pictures):
        pairs = [[_pixels(p, t) for t in annotators] for p in maps]
        for k, level in enumerate(pairs):
            covered[i, k] = sum(covering(p, t) for p, t in level)
            rand[i, k] = np.mean([rand_score(t, p) for p, t in level])
            vi[i, k] = np.mean([sum(variation_of_information(t, p)) for p, t in level])
        pixels.append(sum(t.size for _, t in pairs[0]))
        for j in range(len(annotators)):
            best = np.max([iou(*level[j]).max(1) for level in pairs], axis=0)
            t = pairs[0][j][1]
            any_ += sum((t == i).sum() * b for i, b in zip(np.unique(t), best, strict=True))
        counts.append([metrics.boundary_counts(p, annotators) for p in maps])
    total = sum(pixels)

    def f(chosen):
        summed = chosen[0]
        for each in chosen[1:]:
            summed = summed.plus(each)
        return summed.f

    by_level = [f([row[k] for row in counts]) for k in range(len(LEVELS))]
    return {
        "covering_ods": (covered.sum(0) / total).max(),
        "covering_ois": covered.max(1).sum() / total,
        "covering_any": any_ / total,
        "rand_ods": rand.mean(0).max(),
        "rand_ois": rand.max(1).mean(),
        "vi_ods": vi.mean(0).min(),
        "vi_ois": vi.min(1).mean(),
        "boundary_f_ods": max(by_level),
        "boundary_f_ois": f([max(row, key=lambda c: c.f) for row in counts]),
    }


def _gathered(pictures, view=protocols.NATIVE):
    collector = ods_ois.Collector()
    for i, (maps, annotators) in enumerate(pictures):
        # Through JSON, as rows go.
        line = json.loads(json.dumps(ods_ois.kept(maps, annotators, [view])))
        collector.add(i, line[ods_ois.KEY])
    return collector.sweeps(len(pictures))[view.name]


def test_it_is_the_direct_implementation():
    pictures = _images(9)
    expected = _directly(pictures)
    gathered = _gathered(pictures)
    found = ods_ois.estimates(gathered)
    assert {name: each.mean for name, each in found.items()} == pytest.approx(expected, abs=1e-8)
    for name, each in found.items():
        assert each.low <= each.mean + 0.05 and each.low < each.high, name
    assert len({optimum.level for optimum in ods_ois.optima(gathered).values()}) > 1
    # `metrics.scale` says the same.
    covered, pixels = gathered.values[..., 0], gathered.values[..., 1]
    both = metrics.optimal_scales(covered / pixels, weights=pixels[:, 0])
    assert both.ods == pytest.approx(expected["covering_ods"])
    assert both.ois == pytest.approx(expected["covering_ois"])
    counts = [
        [metrics.BoundaryCounts(*map(int, c)) for c in row] for row in gathered.values[..., 4:]
    ]
    both = metrics.optimal_boundary_scales(counts)
    assert both.ods == pytest.approx(expected["boundary_f_ods"])
    assert both.ois == pytest.approx(expected["boundary_f_ois"])


def test_nothing_labelled_and_no_boundaries():
    pictures = _images(3)
    found = ods_ois.estimates(_gathered(pictures))
    empty = ([*pictures[0][0]], [np.full((26, 34), -1)])
    assert ods_ois.estimates(_gathered([*pictures, empty]))["vi_ods"].mean == found["vi_ods"].mean
    collector = ods_ois.Collector()
    for i, each in enumerate(pictures):
        collector.add(i, ods_ois.kept(*each, [protocols.NATIVE], boundaries=False)[ods_ois.KEY])
    fast = ods_ois.estimates(collector.sweeps(3)["native"])
    assert math.isnan(fast["boundary_f_ods"].mean) and fast["vi_ods"] == found["vi_ods"]
    assert ods_ois.estimates(None)["vi_ods"].num_images == 0


def _folders(root, pictures):
    (root / "truth").mkdir(parents=True)
    for i, (maps, annotators) in enumerate(pictures):
        for k, labels in enumerate(annotators):
            images.write_labels(root / f"truth/p{i}_{k}.png", labels + 1)
        for level, ids in zip(LEVELS, maps, strict=True):
            (root / "tool" / level).mkdir(parents=True, exist_ok=True)
            images.write_labels(root / f"tool/{level}/p{i}.png", ids + 1)
        (root / "npz").mkdir(exist_ok=True)
        np.savez(root / f"npz/p{i}.npz", levels=np.stack(maps), thresholds=np.array(LEVELS, float))
    return root


def test_evaluate_recognises_levels(tmp_path, capsys):
    pictures = _images(4)
    for maps, _ in pictures:
        maps[:] = [np.maximum(ids, 0) for ids in maps]
    root = _folders(tmp_path, pictures)
    expected = _directly(pictures)
    argv = ["compare", root / "tool", root / "npz", f"--ground-truth={root / 'truth'}"]
    assert cli.main([*map(str, argv), "--zero=ignore"]) == 2
    assert "tool: holds levels" in capsys.readouterr().err
    for tool in ("tool", "npz"):
        out = root / f"out_{tool}"
        argv = ["evaluate", root / tool, root / "truth", "--zero=ignore", f"--out={out}"]
        assert cli.main([*map(str, argv), "--score_size=0", "--html"]) == 0
        printed = capsys.readouterr().out
        assert "(levels)" in printed and "of each 4 levels" in printed
        assert "ODS" in printed and "best of n" not in printed
        written = json.loads((out / "metrics.json").read_text())
        assert written["levels"] == list(LEVELS)
        found = written["views"]["native"]
        assert {n: found[n]["mean"] for n in expected} == pytest.approx(expected, abs=1e-8)
        assert found["ari"]["mean"] is None
        assert "vi_ods" in (out / "report.html").read_text()
