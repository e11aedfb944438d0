import json
import math
import re

import numpy as np
import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures, on_files, protocols, rows, truths
from bitdiff_jax.evaluation.predictions import open_predictions
from bitdiff_jax.evaluation.report import summary_tables
from bitdiff_jax.evaluation.statistics import dataset_ap
from tests.evaluation.predictions import forms
from tests.evaluation.stubs import blocks
from tests.metrics.test_entity_ap import by_pycocotools

COUNT = 12


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A results file of masks that overlap, the true maps of one person, and their folder."""
    root = tmp_path_factory.mktemp("coco")
    (root / "truth").mkdir()
    rng = np.random.default_rng(0)
    results, maps = [], {}
    for image_id in range(1, COUNT + 1):
        truth = blocks(rng, forms.H, forms.W)
        maps[f"{image_id:03d}"] = truth
        images.write_labels(root / f"truth/{image_id:03d}.png", truth + 1)
        found, scores = forms.masks(image_id, 8)
        for region in range(0, 9, 2):  # some that are right, or nearly
            mask = truth == region
            mask[: rng.integers(0, 4)] = False
            found, scores = np.concatenate([found, mask[None]]), [*scores, rng.uniform(0.5, 1)]
        found[1] = 0
        results += [
            forms.result(image_id, m, round(s, 6)) for m, s in zip(found, scores, strict=True)
        ]
    return forms.write_json(root / "results.json", results), root / "truth", maps


def _table(tmp_path, path, truth, **options):
    opened = truths.open_truths(str(truth))
    predictions = open_predictions(path, like=opened.names, **options)
    task = on_files.Task(
        predictions,
        opened,
        (protocols.NATIVE, *protocols.at_sizes([20])),
        image_measures.TABLE_MEASURES,
    )
    with rows.RowFile(tmp_path / "rows", {"levels": None}, task.columns()) as file:
        on_files.run(task, predictions.names, file)
    return predictions, rows.read(tmp_path / "rows")


@pytest.mark.slow
def test_it_is_pycocotools_on_the_regions_of_the_partition(coco, tmp_path):
    path, truth, maps = coco
    predictions, table = _table(tmp_path, path, truth)
    assert predictions.score_per_region() == "score of the file"
    pictures = [(predictions.maps(n)[0], maps[n], predictions.scores(n), False) for n in maps]
    assert sum((p < 0).any() for p, *_ in pictures) > 3
    expected = by_pycocotools(pictures, 1000, holes=False)
    summary = summary_tables.summarise(table)
    found = [summary[f"{name}@native"] for name in dataset_ap.METRICS]
    np.testing.assert_allclose([each.mean for each in found], expected, rtol=0, atol=1e-9)
    assert 0.02 < found[0].low < found[0].mean < found[0].high < 0.98
    assert found[0].mean != summary["ap_constant@native"].mean
    assert found[0].num_images == COUNT and math.isfinite(summary["ap_ranked@20"].mean)
    text = summary_tables.as_full_text(table, summary, protocols.NATIVE)
    assert re.search(rf"ap_ranked +higher +{expected[0]:.4f}", text) and "ap_constant" in text
    # Of a part, in another order.
    some = table.of([n for n in reversed(list(maps)) if n != "003"])
    pictures = [each for n, each in zip(maps, pictures, strict=True) if n != "003"]
    got = dataset_ap.estimates(some.regions["native"], some.column("regions_true@native"))
    expected = by_pycocotools(pictures, 1000, holes=False)
    assert got["ap_ranked"].mean == pytest.approx(expected[0], abs=1e-9)


def test_annotators_weigh_alike_and_regions_outside_are_none():
    rng = np.random.default_rng(1)
    one, other = blocks(rng, 20, 24), blocks(rng, 20, 24)
    other[one == 4] = -1  # of region 4 nothing is left for the second person
    kept = dataset_ap.kept(one, np.linspace(0.1, 0.9, 9), [one, other], [protocols.NATIVE])
    found = kept[dataset_ap.KEY]["native"]["found"]
    assert found[0] == "aaaaaaaaa" and found[1][4] == "-" and len(found[1]) == 9
    collector = dataset_ap.Collector()
    collector.add(0, kept[dataset_ap.KEY])
    collector.add(1, dataset_ap.kept(one, np.ones(9), [one], [protocols.NATIVE])[dataset_ap.KEY])
    scored = collector.ranked(3)["native"]
    assert scored.scored.tolist() == [True, True, False]
    assert set(scored.regions.weight[scored.regions.image == 0]) == {0.5}
    targets = np.array([9, 9, math.nan])
    assert 0 < dataset_ap.estimates(scored, targets)["ap50_ranked"].mean < 1
    # A picture that has no scores leaves the set without the figure.
    assert math.isnan(dataset_ap.estimates(scored, np.array([9, 9, 9.0]))["ap_ranked"].mean)
    assert dataset_ap.estimates(None, targets)["ap_ranked"].num_images == 0


def test_without_scores_and_without_regions():
    ids = np.zeros((4, 4), np.int32)
    assert dataset_ap.kept(ids, None, [ids], [protocols.NATIVE]) == {}
    nothing = dataset_ap.kept(ids - 1, None, [ids], [protocols.NATIVE])[dataset_ap.KEY]["native"]
    assert nothing == {"scores": [], "found": [""]}
    with pytest.raises(InputError, match="region 2 has no score"):
        dataset_ap.kept(ids + 2, np.ones(2), [ids], [protocols.NATIVE])


@pytest.mark.slow
def test_the_score_is_told(coco, tmp_path, capsys):
    path, truth, _ = coco
    out = tmp_path / "out"
    assert cli.main(["evaluate", str(path), str(truth), f"--out={out}", "--fast", "--all"]) == 0
    printed = capsys.readouterr().out
    assert (
        "average precision ranks regions by the score of the file" in printed
        and "ap75_ranked" in printed
    )
    written = json.loads((out / "metrics.json").read_text())
    assert written["score_per_region"] == "score of the file"
    assert written["views"]["native"]["ap_ranked"]["mean"] > 0
    before = (out / "rows.jsonl").read_bytes()
    assert cli.main(["evaluate", str(path), str(truth), f"--out={out}", "--fast", "--all"]) == 0
    assert (out / "rows.jsonl").read_bytes() == before
    capsys.readouterr()
    assert cli.main(["evaluate", str(truth), str(truth), "--fast"]) == 0
    printed = capsys.readouterr().out
    assert "takes all regions for equally certain" in printed and "ap_ranked" not in printed


@pytest.mark.parametrize("key", ["scores", "predicted_iou"])
def test_which_score_an_npz_file_has(tmp_path, key):
    np.savez(tmp_path / "a.npz", masks=np.zeros((0, 4, 4), bool), **{key: np.zeros(0)})
    np.savez(tmp_path / "b.npz", masks=np.ones((1, 4, 4), bool), **{key: np.ones(1)})
    assert open_predictions(tmp_path).score_per_region() == f"{key} of the file"
