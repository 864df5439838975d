"""One verification: which targets, on which servers, run in a worker process, recorded as a certificate."""
