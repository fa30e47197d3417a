"""The exposition text, from counts that cost one addition each."""

from prometheus_client.parser import text_string_to_metric_families

from pbac.gateway.refusals import RefusalWindow
from pbac.web.metrics import Metrics


def samples(metrics):
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_was_counted_is_told():
    metrics = Metrics(RefusalWindow(0))
    for effect, code in [("permit", ""), ("permit", ""), ("deny", "policy_denied")]:
        metrics.decided(effect, code)
    metrics.refused("parse_error")
    metrics.published(12)
    told = samples(metrics)
    assert told["pbac_decisions_total", ("code", ""), ("effect", "permit")] == 2
    assert told["pbac_decisions_total", ("code", "policy_denied"), ("effect", "deny")] == 1
    assert told["pbac_refusals_total", ("code", "parse_error")] == 1
    assert told["pbac_policy_rules",] == 12


def test_buckets_are_cumulative_and_their_bounds_are_included():
    metrics = Metrics(RefusalWindow(0))
    for seconds in (0.0005, 0.001, 0.0011, 1.0, 120.1):
        metrics.answered(seconds)
    told = samples(metrics)
    bucket = {
        key[1][1]: value for key, value in told.items() if key[0] == "pbac_call_seconds_bucket"
    }
    assert [bucket[bound] for bound in ("0.001", "0.0025", "0.5", "1.0", "120.0", "+Inf")] == [
        2, 3, 3, 4, 4, 5,
    ]  # fmt: skip
    assert told["pbac_call_seconds_count",] == 5
    assert abs(told["pbac_call_seconds_sum",] - 121.1026) < 1e-9


def test_a_refusal_is_counted_in_the_window_of_the_record_too():
    window = RefusalWindow(0)
    Metrics(window).refused("parse_error")
    assert window.drain(1).counts == {"parse_error": 1}
