SELECT EXISTS (SELECT FROM entresol.lanes WHERE queue = $1 AND $2 IN ('', kind))
