SELECT entresol.keep_jobs_done($1)
