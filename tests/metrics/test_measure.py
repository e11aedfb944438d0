import pickle

import numpy as np
import pytest

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import Measure, Metric

TABLE = np.array([[4, 0], [1, 3]])
MAP = np.array([[0, 1], [1, -1]], np.int32)


def test_a_measure_names_its_values():
    both = Measure((Metric("rows", "r", None), Metric("columns", "c", "low")), np.shape)
    assert both.values(MAP, MAP, TABLE) == {"rows": 2, "columns": 2}
    ignored = Measure((Metric("ignored", "i", None),), lambda p, t: (t < 0).sum(), of="maps")
    assert ignored.values(MAP, MAP, TABLE) == {"ignored": 1} and ignored.name == "ignored"


def test_what_a_metric_says_of_itself():
    metric = Metric("vi", "variation of information", "low", unit="bits")
    assert metric.label == "variation of information, bits"
    assert metric.direction == "lower is better"
    assert Metric("n", "number", None).direction == ""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Metric("My metric", "m", "high"), "metric name='My metric'"),
        (lambda: Metric("m@native", "m", "high"), "metric name='m@native'"),
        (lambda: Metric("m", "m", "up"), "better='up'"),
        (lambda: Measure((), np.sum), "one Metric or more"),
        (lambda: Measure((Metric("m", "m", "high"),), np.sum, of="pixels"), "of='pixels'"),
        (lambda: metrics.metrics_of([]), "there is none"),
        (lambda: metrics.metrics_of([np.sum]), "is not a bitdiff_jax.metrics.Measure"),
        (lambda: metrics.metrics_of(metrics.MEASURES[:1] * 2), "called 'ari'"),
    ],
)
def test_one_line_says_what_is_wrong(make, says):
    with pytest.raises(InputError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda t: 1 // 0, "measure m: ZeroDivisionError: integer"),
        (lambda t: (1, 2), "measure m: gave 2 numbers for 1 metrics"),
        (lambda t: "high", "measure m: ValueError"),
        (lambda t: {}, "measure m: TypeError"),
    ],
)
def test_a_function_that_fails_is_named(function, says):
    with pytest.raises(InputError, match=says):
        Measure((Metric("m", "m", "high"),), function).values(MAP, MAP, TABLE)


def test_the_measures_of_the_package_can_be_sent_to_another_process():
    again = pickle.loads(pickle.dumps(metrics.MEASURES))
    assert metrics.BOUNDARY_MEASURE in again
    assert list(metrics.metrics_of(again)) == list(metrics.metrics_of(metrics.MEASURES))
    main = [name for name, each in metrics.metrics_of(again).items() if each.main]
    assert main == ["ari", "iou", "vi", "pq"]
