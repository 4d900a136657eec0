/* broker_login.h: vendors' logins at mosquitto: password hashes and the broker's password file.
 * Passwords stay in memory for as long as it takes to hash them. */
#ifndef CITYHUB_BROKER_LOGIN_H
#define CITYHUB_BROKER_LOGIN_H

#include <libpq-fe.h>

#include "hub/base/config.h"

enum {
    BROKER_HASH_TEXT = 160,    /* bytes for a hash with its end */
    BROKER_PASSWORD_TEXT = 33, /* bytes for a generated password with its end: 192 random bits in base64url */
};

/* Hashes a password as mosquitto_passwd of mosquitto 2 does (PBKDF2-SHA512, random salt). Returns 0 or CH_EIO. */
int broker_hash(const char *password, char hash[BROKER_HASH_TEXT]);

/* Makes a random password. Returns 0 or CH_EIO. */
int broker_password(char password[BROKER_PASSWORD_TEXT]);

/* Writes the configured [mqtt] vendor_password_file anew from onemap.vendor_logins(): vendors' lines are replaced, all
 * others stay as they are. The file is replaced in one step and keeps its owner and mode. Then runs
 * [mqtt] vendor_reload_command. Does nothing if no file is configured. Tells what fails. Returns 0, CH_EDATABASE,
 * CH_EIO or CH_EMEMORY. */
int broker_logins_write(const struct config *config, PGconn *connection);

/* 1 if the password file has a line of this name that belongs to no vendor (the hub's own login, say), 0 if not; else a
 * negative code, told. */
int broker_login_taken(const struct config *config, PGconn *connection, const char *name);

#endif
