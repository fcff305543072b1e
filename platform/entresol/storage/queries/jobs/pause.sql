INSERT INTO entresol.pauses (queue, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING queue
