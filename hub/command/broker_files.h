/* broker_files.h: the files by which the broker knows vendors: who they are and what they may do. They say what the
 * database says, and `cityhub vendor sync` makes them anew from it at any time. */
#ifndef CITYHUB_BROKER_FILES_H
#define CITYHUB_BROKER_FILES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "hub/base/config.h"

/* Whether any such file is configured: [mqtt] vendor_password_file, vendor_acl_file, vendor_definitions_file,
 * device_token_file. */
bool broker_files_any(const struct config *config);

/* The path of the `number`th that is configured, from 0; the configuration's. NULL = there are no more. */
const char *broker_files_path(const struct config *config, size_t number);

/* Writes those that are configured anew from onemap.vendor_logins(), onemap.vendor and onemap.terminal_tokens(): what
 * vendors are and may is replaced, all else stays as it is. A file is replaced in one step and keeps its owner and
 * mode. Then runs [mqtt] vendor_reload_command. Does nothing if no file is configured. Tells what fails. Returns 0,
 * CH_EDATABASE, CH_EIO or CH_EMEMORY. */
int broker_logins_write(const struct config *config, PGconn *connection);

/* Tells, a line each, in what the files differ from the database. Returns how many differences there are, or a negative
 * code. */
int broker_files_check(const struct config *config, PGconn *connection);

#endif
