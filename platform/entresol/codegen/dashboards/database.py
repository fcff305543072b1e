"""The dashboard `database`: what statements, connections and replicas cost and how far they are."""

from __future__ import annotations

from entresol.codegen.dashboards.grafana import Dashboard, Panel

DASHBOARD = Dashboard(
    "database",
    "database and replicas",
    {
        "Statements": [
            Panel(
                "Statements",
                "ops",
                {
                    "{{db_operation_name}}": "sum by (db_operation_name) "
                    "(rate(entresol_storage_query_duration_seconds_count{FLEET}[RATE]))"
                },
            ),
            Panel(
                "Time that statements take, by operation",
                "s",
                {
                    "{{entresol_resource}} {{db_operation_name}}": "topk(10, sum by (entresol_resource, "
                    "db_operation_name) (rate(entresol_storage_query_duration_seconds_sum{FLEET}[RATE])))"
                },
                "Seconds in each second: what costs the database most. `entresol report slow` tells the statements.",
            ),
            Panel(
                "Slowest operations, p99",
                "s",
                {
                    "{{entresol_resource}} {{db_operation_name}}": "topk(10, histogram_quantile(0.99, sum by (le, "
                    "entresol_resource, db_operation_name) "
                    "(rate(entresol_storage_query_duration_seconds_bucket{FLEET}[RATE]))))"
                },
            ),
        ],
        "Connections": [
            Panel(
                "Wait for a connection, p99",
                "s",
                {
                    "{{server_address}}": "histogram_quantile(0.99, sum by (le, server_address) "
                    "(rate(entresol_storage_pool_wait_seconds_bucket{FLEET}[RATE])))"
                },
                worst=0.25,
            ),
            Panel(
                "In use",
                "none",
                {
                    "{{server_address}}": "sum by (server_address) "
                    '(entresol_storage_pool_connections{FLEET,state="used"})'
                },
            ),
            Panel(
                "Open",
                "none",
                {
                    "{{server_address}}": "sum by (server_address) "
                    '(entresol_storage_pool_connections{FLEET,state="open"})'
                },
                "`entresol doctor --only fleet.connections` compares with what the servers allow.",
            ),
        ],
        "Replicas and slots": [
            Panel(
                "Lag",
                "s",
                {
                    "{{server_address}}": "max by (server_address) (entresol_storage_replica_lag_seconds{FLEET})"
                },
                "As the process that sees the most. Beyond ENTRESOL_REPLICA_LAG_MAX_S a replica answers no reads.",
                worst=10,
            ),
            Panel(
                "Log held for the publisher of events",
                "bytes",
                {"slot": "max(entresol_events_slot_held_bytes{FLEET})"},
                worst=10 * 1024**3,
            ),
        ],
    },
)
