/* broker_login.h: vendors' logins at the broker: passwords and their hashes. Passwords stay in memory for as long as it
 * takes to hash them. */
#ifndef CITYHUB_BROKER_LOGIN_H
#define CITYHUB_BROKER_LOGIN_H

#include <libpq-fe.h>

#include "hub/base/config.h"

enum {
    BROKER_HASH_TEXT = 160,    /* bytes for a hash with its end */
    BROKER_PASSWORD_TEXT = 33, /* bytes for a generated password with its end: 192 random bits in base64url */
};

/* Hashes a password, with a random salt, as the broker wants it: RabbitMQ if [mqtt] vendor_definitions_file is set
 * (rabbit_password_hashing_sha256), else mosquitto 2 (PBKDF2-SHA512 as mosquitto_passwd makes it). Returns 0 or CH_EIO.
 */
int broker_hash(const struct config *config, const char *password, char hash[BROKER_HASH_TEXT]);

/* Makes a random password. Returns 0 or CH_EIO. */
int broker_password(char password[BROKER_PASSWORD_TEXT]);

/* 1 if the password file has a line of this name that belongs to no vendor (the hub's own login, say), 0 if not; else a
 * negative code, told. */
int broker_login_taken(const struct config *config, PGconn *connection, const char *name);

#endif
