/* postgres_error.h: why a job failed, and what its SQLSTATE means for whoever gave it. Pure. */
#ifndef CITYHUB_POSTGRES_ERROR_H
#define CITYHUB_POSTGRES_ERROR_H

#include <stdbool.h>

struct postgres_error {
    char sqlstate[6]; /* "" = the connection was lost or the job timed out: whether it committed is unknown */
    char message[512];
    char detail[512]; /* "" = the server gave none, as of the hint */
    char hint[256];
    char where[160]; /* the outermost place in SQL's own words ("PL/pgSQL function ... line ..."), "" = none */
};

/* True if waiting and trying again may help: the server is away, stopping, out of room, read-only, not migrated, a
 * deadlock. False: it is the data's fault. */
bool postgres_error_transient(const struct postgres_error *error);

/* How many failures of this kind in a row are taken for the server's bad moment, if one message alone is stored: with
 * one more they are taken for that message's fault. It may need more than statement_timeout allows (57014), hit an
 * error within the server (class XX), need more memory or temporary files than there are (53200, 53400), or end the
 * server's process (the connection is lost). 0 = no number of them is. */
int postgres_error_patience(const struct postgres_error *error);

/* True if the database is not what this build expects: an object, a right or the schema is missing. */
bool postgres_error_misfit(const struct postgres_error *error);

#endif
