import numpy as np

from bitdiff_jax.serve.adjacency import neighbours


def test_neighbours_by_the_length_of_the_border():
    label_map = np.array([[1, 1, 2], [1, 1, 2], [3, 2, 2], [3, 3, 2]])
    assert neighbours(label_map) == {1: [2, 3], 2: [1, 3], 3: [2, 1]}


def test_a_map_of_one_region_and_of_one_pixel():
    assert neighbours(np.ones((3, 4), int)) == {1: []}
    assert neighbours(np.array([[7]])) == {7: []}


def test_against_a_loop_over_pixels():
    label_map = np.random.default_rng(0).integers(0, 6, (9, 11))
    counts = {}
    for row in range(9):
        for column in range(11):
            for r, c in ((row + 1, column), (row, column + 1)):
                if r < 9 and c < 11 and label_map[row, column] != label_map[r, c]:
                    for pair in ((row, column, r, c), (r, c, row, column)):
                        key = label_map[pair[:2]], label_map[pair[2:]]
                        counts[key] = counts.get(key, 0) + 1
    found = neighbours(label_map)
    for region, others in found.items():
        assert others == sorted(
            (b for a, b in counts if a == region), key=lambda b: (-counts[region, b], b)
        )
