"""Adjusted Rand index and matched IoU of a batch: ours against scikit-learn, scipy and numpy.

    python -m benchmarks.against_peers.metrics

Each peer gives both figures of each of a batch of 128-pixel maps of procedural scenes, with up to
40 regions:

    ours            tables of the batch in one compiled program, figures on the host in float64
    ours, on the host   `adjusted_rand_index` and `hungarian_iou`, each of the maps themselves
    scikit-learn    adjusted_rand_score; contingency_matrix and scipy's assignment for the IoU
    numpy           a table by bincount for both, and scipy's assignment
"""

import argparse

import numpy as np

from benchmarks.against_peers import paired, problem
from benchmarks.against_peers.worker import Ready

TARGET_MS = 0.5  # an image, both figures
NUM_LABELS = 64
Metrics = tuple[np.ndarray, np.ndarray]


def ours(pred: np.ndarray, target: np.ndarray) -> Metrics:
    """Both figures of each map, from tables counted by a compiled program."""
    from bitdiff_jax import metrics

    table = np.asarray(metrics.contingency_table(pred, target, num_labels=NUM_LABELS))
    ari = metrics.adjusted_rand_index_from_table(table)
    return ari, metrics.hungarian_iou_from_table(table)


def ours_on_the_host(pred: np.ndarray, target: np.ndarray) -> Metrics:
    """Both figures, from the maps."""
    from bitdiff_jax import metrics

    ari = metrics.adjusted_rand_index(pred, target, num_labels=NUM_LABELS)
    return ari, metrics.hungarian_iou(pred, target, num_labels=NUM_LABELS)


def by_sklearn(pred: np.ndarray, target: np.ndarray) -> Metrics:
    """One map after the other, as scikit-learn's users do."""
    from sklearn.metrics import adjusted_rand_score
    from sklearn.metrics.cluster import contingency_matrix

    pairs = [(p.ravel(), t.ravel()) for p, t in zip(pred, target, strict=True)]
    ari = [adjusted_rand_score(t, p) for p, t in pairs]
    iou = [_matched_iou(contingency_matrix(p, t).astype(np.int64)) for p, t in pairs]
    return np.array(ari), np.array(iou)


def by_numpy(pred: np.ndarray, target: np.ndarray) -> Metrics:
    """One map after the other, from one table each."""
    ari, iou = [], []
    for p, t in zip(pred, target, strict=True):
        index = p.ravel().astype(np.int64) * NUM_LABELS + t.ravel()
        table = np.bincount(index, minlength=NUM_LABELS**2).reshape(NUM_LABELS, NUM_LABELS)
        table = table[table.any(1)][:, table.any(0)]
        pixels = table.sum()
        both, rows, columns = (
            (counts * (counts - 1) // 2).sum() for counts in (table, table.sum(1), table.sum(0))
        )
        expected = rows * columns / (pixels * (pixels - 1) / 2)
        most = (rows + columns) / 2
        ari.append(1.0 if most == expected else (both - expected) / (most - expected))
        iou.append(_matched_iou(table))
    return np.array(ari), np.array(iou)


def _matched_iou(table: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    union = table.sum(1, keepdims=True) + table.sum(0) - table
    iou = table / union
    return float(iou[linear_sum_assignment(iou, maximize=True)].sum() / table.shape[1])


PEERS = {
    "ours": ours,
    "scikit-learn": by_sklearn,
    "numpy": by_numpy,
    "ours, on the host": ours_on_the_host,
}


def build(peer: str, batch_size: int, side: int) -> Ready:
    """One of `PEERS`, on the same maps."""
    target = problem.batch(batch_size, side).labels
    pred = problem.other_maps(target)
    ari, iou = PEERS[peer](pred, target)
    return Ready(lambda: PEERS[peer](pred, target), f"ARI {ari.mean():.6f}, IoU {iou.mean():.6f}")


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--batch_size", type=int, default=64, help="maps (64)")
    add("--side", type=int, default=128, help="of the maps (128)")
    paired.add_options(parser, rounds=7)
    args = parser.parse_args()
    shared = {"batch_size": args.batch_size, "side": args.side}
    peers = [
        paired.Peer(name, "benchmarks.against_peers.metrics:build", shared | {"peer": name})
        for name in PEERS
    ]
    title = f"ARI and IoU, {args.batch_size} maps; ours wanted: {TARGET_MS} ms an image"
    scale = 1e3 / args.batch_size
    result = paired.compare(title, peers, args, scale=scale, unit="ms an image")
    paired.write(args.json, [result])


if __name__ == "__main__":
    paired.run(main)
