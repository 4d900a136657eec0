/* postgres_parameters.h: how the hub and the commands connect to PostgreSQL, and what every session of theirs begins
 * with: one truth for the asynchronous connections and for the blocking one. */
#ifndef CITYHUB_POSTGRES_PARAMETERS_H
#define CITYHUB_POSTGRES_PARAMETERS_H

#include <stdint.h>

enum { POSTGRES_PARAMETERS = 9, POSTGRES_SESSION_TEXT = 1280 };

/* For PQconnectdbParams and PQconnectStartParams with expand_dbname 1. Points into itself: it is filled where it stays.
 */
struct postgres_parameters {
    const char *keywords[POSTGRES_PARAMETERS], *values[POSTGRES_PARAMETERS];
    char timeout[24], application[80];
};

/* Fills `parameters`. `conninfo` is borrowed; the format says the application's name, which the server shows. */
void postgres_parameters_set(struct postgres_parameters *parameters, const char *conninfo, int64_t connect_timeout_s,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Writes the statements that a session begins with, the last a SET: commits wait for the disk, what decides how
 * literals are read, values told and locks waited for is PostgreSQL's default, time zone UTC, the statement timeout
 * (seconds, 0 = none), and the server gives up a statement within seconds whose client has gone. Returns `text`. */
const char *postgres_session_text(char text[static POSTGRES_SESSION_TEXT], int64_t statement_timeout_s);

#endif
