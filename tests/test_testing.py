from __future__ import annotations

from tachikoma_metrics import record_cache_hit, record_file_change, testing
from tachikoma_metrics.testing import increase_of, sample_value, samples


def test_a_sample_is_found_by_its_name_and_labels():
    record_file_change("modify", "applied")

    assert sample_value("file_changes_total", change_type="modify", status="applied") == 1
    assert sample_value("file_changes_total", change_type="modify") is None
    labels = frozenset({("change_type", "modify"), ("status", "applied")})
    assert samples()["file_changes_total", labels] == 1


def test_an_increase_is_what_happened_in_the_block():
    record_file_change("modify", "applied")

    with increase_of("file_changes_total", change_type="modify", status="applied") as changes:
        record_file_change("modify", "applied")
        record_file_change("modify", "applied")

    assert changes.amount == 2


def test_reset_forgets_all_series():
    record_cache_hit()

    testing.reset()

    assert sample_value("cache_hits_total") == 0
