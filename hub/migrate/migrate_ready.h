/* migrate_ready.h: what must hold before migrate changes anything: PostGIS where it belongs, the rights of this login,
 * the owner's role, and no other migrate at work. Part of migrate. */
#ifndef CITYHUB_MIGRATE_READY_H
#define CITYHUB_MIGRATE_READY_H

#include <libpq-fe.h>

#include "hub/migrate/migrate.h"

/* Warns of an encoding other than UTF8, which is no reason to stop. */
void migrate_warn_of_encoding(PGconn *connection);

/* Refuses, with the SQL that an administrator runs, what this login neither finds nor may make; becomes the schema's
 * owner; takes the lock of migrate, waiting up to lock_wait_s, unless it is a dry run. The lock ends with the session.
 * Returns 0, CH_EINVAL (refused) or CH_EDATABASE, after telling why. */
int migrate_ready(PGconn *connection, const struct migrate_settings *settings);

/* Each lock that a statement waits for is given up after lock_wait_s. Returns 0 or CH_EDATABASE. */
int migrate_set_lock_wait(PGconn *connection, const struct migrate_settings *settings);

#endif
