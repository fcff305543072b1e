"""The dashboard `jobs`: what waits, runs and fails, and what comes by the clock."""

from __future__ import annotations

from entresol.codegen.dashboards.grafana import Dashboard, Panel

DASHBOARD = Dashboard(
    "jobs",
    "jobs and schedules",
    {
        "Queues": [
            Panel(
                "Oldest job that is ready",
                "s",
                {"{{entresol_queue}}": "max by (entresol_queue) (entresol_jobs_ready_age_seconds{FLEET})"},
                "What pools of workers grow by.",
                worst=300,
            ),
            Panel(
                "Ready",
                "none",
                {"{{entresol_queue}}": "max by (entresol_queue) (entresol_jobs_ready{FLEET})"},
                "At most 1,000 of a lane are counted.",
            ),
            Panel("Running", "none", {"{{pod}}": "sum by (pod) (entresol_jobs_running{FLEET})"}),
            Panel(
                "Wait, p99",
                "s",
                {
                    "{{entresol_job_kind}}": "histogram_quantile(0.99, sum by (le, entresol_job_kind) "
                    "(rate(entresol_jobs_wait_seconds_bucket{FLEET}[RATE])))"
                },
                "From when a job is ready to its claim.",
            ),
            Panel(
                "Relayed to RabbitMQ",
                "ops",
                {
                    "{{entresol_queue}}": "sum by (entresol_queue) (rate(entresol_jobs_relayed_total{FLEET}[RATE]))",
                    "{{entresol_queue}}, again": "sum by (entresol_queue) "
                    "(rate(entresol_jobs_relayed_again_total{FLEET}[RATE]))",
                },
            ),
            Panel(
                "Taken from workers that were lost",
                "none",
                {"jobs": "sum(increase(entresol_jobs_swept_total{FLEET}[1h]))"},
            ),
        ],
        "Attempts": [
            Panel(
                "By how they ended",
                "ops",
                {
                    "{{entresol_outcome}}": "sum by (entresol_outcome) "
                    "(rate(entresol_jobs_attempt_duration_seconds_count{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Dead or failed, by method",
                "ops",
                {
                    "{{entresol_job_kind}} {{entresol_outcome}}": "sum by (entresol_job_kind, entresol_outcome) (rate("
                    'entresol_jobs_attempt_duration_seconds_count{FLEET,entresol_outcome=~"dead|failed"}[RATE]))'
                },
            ),
            Panel(
                "Duration, p95",
                "s",
                {
                    "{{entresol_job_kind}}": "histogram_quantile(0.95, sum by (le, entresol_job_kind) "
                    "(rate(entresol_jobs_attempt_duration_seconds_bucket{FLEET}[RATE])))"
                },
            ),
        ],
        "Schedules and events": [
            Panel(
                "How late ticks are, p99",
                "s",
                {
                    "{{entresol_schedule}}": "histogram_quantile(0.99, sum by (le, entresol_schedule) "
                    "(increase(entresol_schedules_tick_delay_seconds_bucket{FLEET}[1h])))"
                },
            ),
            Panel(
                "Ticks that put no job in",
                "none",
                {
                    "{{entresol_schedule}} {{entresol_reason}}": "sum by (entresol_schedule, entresol_reason) "
                    "(increase(entresol_schedules_ticks_skipped_total{FLEET}[1h]))"
                },
            ),
            Panel(
                "Events confirmed",
                "ops",
                {
                    "{{entresol_resource}}": "sum by (entresol_resource) "
                    "(rate(entresol_events_published_total{FLEET}[RATE]))"
                },
            ),
            Panel(
                "From a commit to its events, p99",
                "s",
                {
                    "p99": "histogram_quantile(0.99, sum by (le) "
                    "(rate(entresol_events_delay_seconds_bucket{FLEET}[RATE])))"
                },
            ),
        ],
    },
)
