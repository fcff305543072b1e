SELECT request, failures FROM entresol.jobs WHERE id = $1
