-- What only operators are told of a job that is not over, or is dead; where it runs, if it does.
SELECT request, failures, trace, host, process
FROM entresol.jobs LEFT JOIN entresol.workers ON workers.id = jobs.worker
WHERE jobs.id = $1
