/* broker_text.h: what the broker's files shall say of vendors: mosquitto's password file and ACL file, its plugin's
 * file of devices' tokens, RabbitMQ's definitions. Pure: from what the database says and what is in the file now to the
 * text that belongs there. */
#ifndef CITYHUB_BROKER_TEXT_H
#define CITYHUB_BROKER_TEXT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>

struct broker_facts {
    const PGresult *logins; /* onemap.vendor_logins(): vendor, hash or NULL */
    const PGresult *rights; /* every row of onemap.vendor: vendor, subsystem, may it push ('t', 'f'); in this order */
    const PGresult *tokens; /* onemap.terminal_tokens(): identity, hash in hexadecimal */
};

enum { BROKER_RIGHT_VENDOR, BROKER_RIGHT_SUBSYSTEM, BROKER_RIGHT_VALID };

/* Whether a hash is of the form that the broker reads: mosquitto's PBKDF2-SHA512, or RabbitMQ's salted SHA-256. */
bool broker_hash_is_mosquitto(const char *hash);

/* Each writes the whole text that belongs into the file, `old` being what is in it now ("" = nothing). Lines of others,
 * such as the hub's own login, stay as they are. Writing the text anew from itself changes nothing. Returns 0 or
 * CH_EMEMORY; whether `to` took it all, the caller asks. */
typedef int broker_text(const struct broker_facts *facts, const char *old, FILE *to);

/* Vendors' lines are replaced. */
broker_text broker_text_passwords;

/* Replaced are the sections of users that are vendors, and patterns, which are for every user, if they say anything of
 * our topics. */
broker_text broker_text_access;

/* Devices' tokens for the plugin; `old` is not asked. */
broker_text broker_text_tokens;

/* `old` is not asked. A login that has ended is in it without a password and without rights, as importing forgets
 * nobody. */
broker_text broker_text_definitions;

#endif
