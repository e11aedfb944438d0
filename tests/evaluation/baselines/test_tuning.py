"""Settings chosen on training pictures and kept; the table of benchmarks/quality/classical.py."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import baselines, image_measures, protocols
from bitdiff_jax.evaluation.baselines import tuning

ROOT = pathlib.Path(__file__).resolve().parents[3]


def image(count, annotators=1):
    """Truths of `count` bands; one more person sees one region less."""
    truths = tuple(
        np.repeat(np.arange(24) * (count - k) // 24, 20).reshape(24, 20).astype(np.int32)
        for k in range(annotators)
    )
    return baselines.LabelledImage(str(count), np.zeros((24, 20, 3), np.uint8), truths)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_best_settings_are_chosen(count):
    assert baselines.tune("bands", [image(count)] * 2) == {"count": count}
    (row,) = baselines.rows_of("bands", [image(count)], count=count)
    assert row == (1, 1, count)


def test_scores_are_the_metrics_of_an_evaluation():
    ids, labels = image(6).labels[0], image(5, 3).labels
    view = protocols.at_sizes([12])[0]
    want = image_measures.score([ids], labels, view, image_measures.TABLE_MEASURES)
    got = baselines.score(ids, labels, 12)
    assert got._asdict() == pytest.approx({name: want[name] for name in got._fields}, abs=1e-12)


def test_another_metric_and_images_without_labels():
    unlabelled = image(3)._replace(labels=(np.full((24, 20), -1, np.int32),))
    assert baselines.tune("bands", [unlabelled, image(4)]) == {"count": 4}
    assert baselines.tune("bands", [unlabelled]) == {"count": 2}

    def fewest(rows):
        return -rows[0].regions

    assert tuning.tune("grid", [image(3)], fewest) == {"count": 2}
    assert baselines.tune("one region", []) == {}


def test_settings_are_kept_beside_others(tmp_path):
    path = tmp_path / "parameters.json"
    baselines.keep("a", {"bands": {"count": 2}}, 8, {"size": 32}, path)
    baselines.keep("a", {"grid": {"count": 3}}, 9, {"size": 32}, path)
    baselines.keep("b", {"bands": {"count": 4}}, 7, {"size": 64}, path)
    assert json.loads(path.read_text()) == {
        "a": {
            "size": 32,
            "pictures": {"bands": 8, "grid": 9},
            "settings": {"bands": {"count": 2}, "grid": {"count": 3}},
        },
        "b": {"size": 64, "pictures": {"bands": 7}, "settings": {"bands": {"count": 4}}},
    }
    with pytest.raises(InputError, match=r"'ade20k' are kept; there are: .*bsds500"):
        baselines.kept("ade20k")


@pytest.fixture(scope="module")
def classical():
    spec = importlib.util.spec_from_file_location(
        "classical", ROOT / "benchmarks/quality/classical.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table(classical, tmp_path, capsys):
    path = tmp_path / "table.json"
    few = ["--size", "16", "--num_tune", "2", "--num_images", "3", "--json", str(path)]
    classical.main([*few, "--methods", "one region", "bands", "felzenszwalb"])
    table = json.loads(path.read_text())
    assert table["tuned_on"] == 2 and table["scored_on"] == 3 and table["size"] == 16
    assert [row["method"] for row in table["rows"]] == ["one region", "bands", "felzenszwalb"]
    assert table["rows"][0]["ari"] == 0 and set(table["rows"][1]["settings"]) == {"count"}
    printed = capsys.readouterr().out
    assert "tuned on 2 of scenes,level=1,seed=1" in printed and "one region" in printed

    classical.main([*few, "--methods", "felzenszwalb", "--tuned", "scenes1"])
    (row,) = json.loads(path.read_text())["rows"]
    assert row["settings"] == baselines.kept("scenes1")["felzenszwalb"]


def test_annotators(classical):
    first, second = classical.evaluate_annotators([image(4, 3), image(2), image(6, 3)])
    assert first["method"] == "one person against another" and 0 < first["ari"] < 1
    # Of 4, 3 and 2 bands, and of 6, 5 and 4, the one in the middle is nearest to the others.
    assert second["method"] == "medoid of people" and second["ari"] >= first["ari"]
