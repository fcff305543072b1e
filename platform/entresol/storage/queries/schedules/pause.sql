UPDATE entresol.schedules SET is_paused = $2, pause_reason = $3, update_time = now() WHERE name = $1 RETURNING name
