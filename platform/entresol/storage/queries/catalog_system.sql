-- What migrations/system makes and a server cannot do without.
SELECT to_regclass('entresol.row_version') IS NOT NULL AS sequence,
       to_regclass('entresol.requests') IS NOT NULL AS requests,
       to_regclass('entresol.jobs') IS NOT NULL AS queue,
       to_regclass('entresol.attempts') IS NOT NULL AS outbox,
       to_regclass('entresol.ticks_job_idx') IS NOT NULL AS schedules,
       to_regprocedure('entresol.stamp_row_version()') IS NOT NULL AS trigger_function,
       to_regprocedure('entresol.make_days(regclass)') IS NOT NULL AS event_days,
       to_regprocedure('entresol.release_followers()') IS NOT NULL AS chains
