/* prepared.h: which statements a connection has prepared, by their text, and a job that is sent later than it was
 * given. Bounded: what comes when it is full is not kept, and runs all the same. */
#ifndef CITYHUB_PREPARED_H
#define CITYHUB_PREPARED_H

#include <stdbool.h>

#include "hub/link/postgres.h"

enum { PREPARED_MAX = 256, PREPARED_NAME = 16 };

struct prepared_statement; /* NULL = none is prepared */

/* Writes the name under which a statement was prepared; false = it was not. */
bool prepared_find(const struct prepared_statement *all, const char *sql, char name[PREPARED_NAME]);
/* Writes the name under which one that was not found may be prepared; false = there are too many. */
bool prepared_name(const struct prepared_statement *all, char name[PREPARED_NAME]);
/* It was prepared under this name. False = memory is out. */
bool prepared_add(struct prepared_statement **all, const char *sql, const char *name);
/* The connection has none any more. */
void prepared_clear(struct prepared_statement **all);

/* Copies the job's text and parameters into `held`, which is emptied first, and makes the job point at the copies.
 * False = memory is out, and the job is as it was. */
bool prepared_hold(struct buffer *held, struct postgres_value values[POSTGRES_VALUES_MAX], struct postgres_job *job);

#endif
