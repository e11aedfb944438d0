import pytest

from bitdiff_jax.data import trained_on


@pytest.mark.parametrize(
    ("key", "count", "words"),
    [
        ("folder:/d/nuclei,split=train,zero=region", 40, "folder nuclei, split train (40 images)"),
        ("folder:nuclei/", 40, "folder nuclei (40 images)"),
        ("records:gs://b/coco,split=train", 1234, "records coco, split train (1,234 images)"),
        ("bsds500:/data/BSR,split=train", 200, "BSDS500, split train (200 images)"),
        ('masks:"/data/a,b",zero=region', 3, "masks a,b (3 images)"),
        ('masks:"/data/9"", x=1",split=val', 3, 'masks 9", x=1, split val (3 images)'),
        ("my.module:function,key=value", 7, "my.module function (7 images)"),
        ("scenes:,level=1", 10**6, "procedural scenes of textured shapes (level 1)"),
        ("scenes:", 10**6, "procedural scenes of textured shapes (level 1)"),
        ("posterior:,kind=pairs", 10**6, "procedural scenes with known posteriors (kind pairs)"),
        ("no spec at all", 2, "no spec at all (2 images)"),
    ],
)  # fmt: skip
def test_the_words_come_from_the_data(key, count, words):
    assert trained_on.in_words({key: range(count)}) == words


def test_several_sets_are_joined():
    sources = {"folder:cells": range(2), "folder:x/stars": range(1)}
    assert trained_on.in_words(sources) == "folder cells (2 images) and folder stars (1 image)"
