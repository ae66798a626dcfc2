"""The numbers of the fields of Prometheus' messages.

https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations


class Field:
    """Numbers of the fields of the messages.

    ``VALUE`` is in counters, gauges and untyped metrics, ``SAMPLE_COUNT`` and ``SAMPLE_SUM`` are
    in histograms and summaries.
    """

    # Of a MetricFamily.
    NAME, HELP, TYPE, METRIC, UNIT = 1, 2, 3, 4, 5
    # Of a Metric.
    LABEL, GAUGE, COUNTER, SUMMARY, UNTYPED, TIMESTAMP_MS, HISTOGRAM = 1, 2, 3, 4, 5, 6, 7
    # Of its value.
    VALUE, SAMPLE_COUNT, SAMPLE_SUM, QUANTILE, BUCKET = 1, 1, 2, 3, 3
    SCHEMA, ZERO_THRESHOLD, ZERO_COUNT = 5, 6, 7
    NEGATIVE_SPAN, NEGATIVE_DELTA, POSITIVE_SPAN, POSITIVE_DELTA = 9, 10, 12, 13
    # Of a Bucket.
    CUMULATIVE_COUNT, UPPER_BOUND = 1, 2
    # Of an Exemplar, beside its labels.
    EXEMPLAR_VALUE, EXEMPLAR_TIMESTAMP = 2, 3
