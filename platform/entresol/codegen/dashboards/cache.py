"""The dashboard `cache`: how much it answers, and whether what it answers is right."""

from __future__ import annotations

from entresol.codegen.dashboards.grafana import Dashboard, Panel

DASHBOARD = Dashboard(
    "cache",
    "cache and coherence",
    {
        "Hits": [
            Panel(
                "Hit ratio",
                "percentunit",
                {
                    "all": 'sum(rate(entresol_cache_reads_total{FLEET,entresol_reason=~"hit|near"}[RATE]))'
                    " / sum(rate(entresol_cache_reads_total{FLEET}[RATE]))",
                    "of what copies lack": 'sum(rate(entresol_cache_reads_total{FLEET,entresol_reason="hit"}[RATE]))'
                    ' / sum(rate(entresol_cache_reads_total{FLEET,entresol_reason!="near"}[RATE]))',
                },
                "Of single records: from the process's own copies or from the cache. The second is the cache's alone.",
            ),
            Panel(
                "Hit ratio, by resource",
                "percentunit",
                {
                    "{{entresol_resource}}": "sum by (entresol_resource) (rate("
                    'entresol_cache_reads_total{FLEET,entresol_reason=~"hit|near"}[RATE]))'
                    " / sum by (entresol_resource) (rate(entresol_cache_reads_total{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Lists, by answer",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) (rate(entresol_cache_lists_total{FLEET}[RATE]))"
                },
                "`hit`, or why a list was read from the database.",
            ),
            Panel(
                "Reads, by answer",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) (rate(entresol_cache_reads_total{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Puts and fills, by answer",
                "ops",
                {
                    "{{db_operation_name}} {{entresol_reason}}": "sum by (db_operation_name, entresol_reason) "
                    "(rate(entresol_cache_writes_total{FLEET}[RATE]))"
                },
                "What was refused (behind, older, fenced, reborn) would have been stale: that is the protocol at work. "
                "nometa: no relay runs.",
            ),
            Panel(
                "Failures, by reason",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) (rate(entresol_cache_failures_total{FLEET}[RATE]))"
                },
                "Commands that Redis did not answer: reads then go to the database.",
            ),
        ],
        "Coherence, as `entresol verify` measures it": [
            Panel(
                "Nines, by age of the write",
                "none",
                {
                    "{{entresol_age}} s": "-log10(clamp_min(sum by (entresol_age) (increase("
                    'entresol_verify_reads_total{FLEET,entresol_outcome="stale"}[1h]))'
                    " / sum by (entresol_age) (increase("
                    'entresol_verify_reads_total{FLEET,entresol_outcome=~"consistent|stale"}[1h])), 1e-9))'
                },
                "Of writes read back so many seconds later: 3 is one in a thousand that did not show, 9 is none.",
            ),
            Panel(
                "Differences from the primary",
                "none",
                {
                    "explained: {{entresol_explained}}": "sum by (entresol_explained) "
                    "(increase(entresol_verify_differences_total{FLEET}[1h]))"
                },
                "An unexplained one is a cache that is wrong: there must be none.",
            ),
            Panel(
                "Staleness that was seen",
                "s",
                {
                    "p99": "histogram_quantile(0.99, sum by (le) (increase("
                    "entresol_verify_staleness_seconds_bucket{FLEET}[1h])))"
                },
                "Age of the first change that a read did not show.",
            ),
        ],
        "Relay": [
            Panel(
                "Lag",
                "s",
                {"lag": "max(entresol_relay_lag_seconds{FLEET})"},
                "Age of what was applied last.",
                worst=10,
            ),
            Panel(
                "Changes applied", "ops", {"changes": "sum(rate(entresol_relay_changes_total{FLEET}[RATE]))"}
            ),
            Panel(
                "Dropped entries read again",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) (rate(entresol_relay_refills_total{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Failovers of the cache that were replayed",
                "none",
                {"rewinds": "sum(increase(entresol_relay_rewinds_total{FLEET}[1h]))"},
            ),
            Panel(
                "Reads of the checker that were not made",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) (rate(entresol_verify_skipped_total{FLEET}[RATE]))"
                },
            ),
        ],
    },
)
