"""The dashboard `overview`: calls against their objectives, and what they lean on."""

from __future__ import annotations

from entresol.codegen.dashboards.grafana import Dashboard, Panel

DASHBOARD = Dashboard(
    "overview",
    "overview",
    {
        "Objectives, over 30 days": [
            Panel(
                "Availability",
                "percentunit",
                {
                    "": "1 - avg_over_time(entresol:calls_failed:ratio_rate1h{FLEET}[30d])",
                },
                "Share of calls that did not fail by our fault, hour by hour. The objective is 0.999.",
                kind="stat",
                width=6,
                worst=0.999,
                is_low_bad=True,
            ),
            Panel(
                "Quick calls",
                "percentunit",
                {"": "1 - avg_over_time(entresol:calls_slow:ratio_rate1h{FLEET}[30d])"},
                "Share of calls that took at most 250 ms, hour by hour. The objective is 0.99.",
                kind="stat",
                width=6,
                worst=0.99,
                is_low_bad=True,
            ),
            Panel(
                "Budget of failures: speed of use",
                "none",
                {
                    "1 h": "entresol:calls_failed:ratio_rate1h{FLEET} / 0.001",
                    "6 h": "entresol:calls_failed:ratio_rate6h{FLEET} / 0.001",
                    "3 d": "entresol:calls_failed:ratio_rate3d{FLEET} / 0.001",
                },
                "At 1 it lasts just 30 days; at 14.4 two of them.",
                width=6,
                worst=1,
            ),
            Panel(
                "Budget of slow calls: speed of use",
                "none",
                {
                    "1 h": "entresol:calls_slow:ratio_rate1h{FLEET} / 0.01",
                    "6 h": "entresol:calls_slow:ratio_rate6h{FLEET} / 0.01",
                    "3 d": "entresol:calls_slow:ratio_rate3d{FLEET} / 0.01",
                },
                "At 1 it lasts just 30 days; at 14.4 two of them.",
                width=6,
                worst=1,
            ),
        ],
        "Calls": [
            Panel(
                "Calls",
                "reqps",
                {
                    "{{rpc_service}}": "sum by (rpc_service) "
                    "(rate(rpc_server_call_duration_seconds_count{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Not OK, by status",
                "reqps",
                {
                    "{{rpc_grpc_status_code}}": "sum by (rpc_grpc_status_code) (rate("
                    'rpc_server_call_duration_seconds_count{FLEET,rpc_grpc_status_code!="0"}[RATE]))'
                },
                "gRPC's numbers: 3 INVALID_ARGUMENT, 4 DEADLINE_EXCEEDED, 5 NOT_FOUND, 7 PERMISSION_DENIED, "
                "8 RESOURCE_EXHAUSTED, 10 ABORTED, 13 INTERNAL, 14 UNAVAILABLE, 16 UNAUTHENTICATED.",
            ),
            Panel(
                "Latency",
                "s",
                {
                    f"p{name}": f"histogram_quantile({share}, sum by (le) ("
                    "rate(rpc_server_call_duration_seconds_bucket{FLEET}[RATE])))"
                    for name, share in (("50", 0.5), ("95", 0.95), ("99", 0.99))
                },
            ),
            Panel(
                "Slowest methods, p99",
                "s",
                {
                    "{{rpc_service}}/{{rpc_method}}": "topk(10, histogram_quantile(0.99, sum by "
                    "(le, rpc_service, rpc_method) (rate(rpc_server_call_duration_seconds_bucket{FLEET}[RATE]))))"
                },
                width=12,
            ),
            Panel(
                "Methods that fail by our fault",
                "reqps",
                {
                    "{{rpc_service}}/{{rpc_method}}": "topk(10, sum by (rpc_service, rpc_method) (rate("
                    'rpc_server_call_duration_seconds_count{FLEET,rpc_grpc_status_code=~"2|4|13|14|15"}[RATE])))'
                },
                width=12,
            ),
        ],
        "What calls lean on": [
            Panel("Lag of the relay", "s", {"relay": "max(entresol_relay_lag_seconds{FLEET})"}, worst=10),
            Panel(
                "Lag of replicas",
                "s",
                {
                    "{{server_address}}": "max by (server_address) (entresol_storage_replica_lag_seconds{FLEET})"
                },
                worst=10,
            ),
            Panel(
                "Oldest job that is ready",
                "s",
                {"{{entresol_queue}}": "max by (entresol_queue) (entresol_jobs_ready_age_seconds{FLEET})"},
                worst=300,
            ),
            Panel(
                "Spans that were not sent",
                "ops",
                {
                    "{{entresol_reason}}": "sum by (entresol_reason) "
                    "(rate(entresol_telemetry_spans_lost_total{FLEET}[RATE]))"
                },
                "full: recorded faster than sent (OTEL_BSP_MAX_QUEUE_SIZE); failed: the collector took none; "
                "late: left when a process ended.",
            ),
        ],
    },
)
