"""What is timed against each other computes the same."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.against_peers import compile_time, metrics, palette, problem

MAPS = problem.batch(3, 64).labels


def test_both_palettes_give_the_same_codes():
    theirs = palette.build_numpy("paper", 3).run()
    ours = palette.build_ours("paper", 3).run()
    np.testing.assert_array_equal(np.stack(theirs), ours)


@pytest.mark.slow
def test_numpy_merges_regions_beyond_the_codes():
    from bitdiff_jax.encoding import palette as ours

    label_map = np.arange(256).reshape(16, 16).repeat(2, 0).repeat(2, 1).astype(np.int32)
    label_map[:9] = 5  # the largest
    table = ours.table("similar", 64)
    wanted = ours.assign(label_map, table, max_regions=256).codes
    np.testing.assert_array_equal(palette.by_numpy(label_map, table), wanted)


def test_numpy_knows_the_released_rules_alone():
    with pytest.raises(ValueError, match="use 'paper'"):
        palette.build_numpy("base", 1)


@pytest.mark.parametrize("name", metrics.PEERS)
def test_all_metrics_agree(name):
    pred = problem.other_maps(MAPS)
    for found, wanted in zip(
        metrics.PEERS[name](pred, MAPS), metrics.ours(pred, MAPS), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        assert (found > 0).all() and (found < 1).all()


def test_a_plain_dataset_reads_a_folder(tmp_path):
    pytest.importorskip("torch")
    from benchmarks.against_peers import plain_dataset

    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    labels = np.zeros((30, 40), np.uint8)
    labels[:, 20:] = 7
    Image.fromarray(np.full((30, 40, 3), 200, np.uint8)).save(tmp_path / "images" / "a.jpg")
    Image.fromarray(labels).save(tmp_path / "labels" / "a_0.png")
    dataset = plain_dataset.Folder(tmp_path, 32)
    assert len(dataset) == 1
    for _ in range(10):
        item = dataset[0]
        assert item["image"].shape == (32, 32, 3) and item["labels"].shape == (32, 32)
        height, width = item["size"]
        assert max(height, width) == 32
        assert set(np.unique(item["labels"][:height, :width])) <= {-1, 0, 1}
        assert (item["labels"][height:] == -1).all()


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_program_is_compiled_in_a_process_of_its_own(tmp_path):
    found = compile_time.in_a_process("paper:smoke", "sample", 1, str(tmp_path))
    assert 0 < found["compile"] < found["first call"] == found["trace"] + found["compile"]
