/* password_input.h: where a person's password comes from: a file or standard input, a generator, or the terminal. Never
 * an argument. */
#ifndef CITYHUB_PASSWORD_INPUT_H
#define CITYHUB_PASSWORD_INPUT_H

#include "hub/base/secret.h"
#include "hub/cli/arguments.h"

/* Rows for the table of options of an action that needs a password. getopt would take --password for short for
 * --password-file, and a password for a file's name that is then complained of. */
#define PASSWORD_OPTIONS                                                                                               \
    {.name = "password-file",                                                                                          \
     .argument = "FILE",                                                                                               \
     .kind = OPTION_FILE,                                                                                              \
     .help = "the password is on the file's first line, - is standard input; without this and the next it is asked "   \
             "for at the terminal"},                                                                                   \
        {.name = "generate-password",                                                                                  \
         .kind = OPTION_FLAG,                                                                                          \
         .either = true,                                                                                               \
         .help = "make a password and print it, once"},                                                                \
    {                                                                                                                  \
        .name = "password", .kind = OPTION_REFUSED,                                                                    \
        .help = "a password is never an argument; --password-file names the file it is in"                             \
    }

struct password_input {
    char password[PASSWORD_BYTES_MAX + 1];
    bool generated; /* nobody knows it but this: it is to be printed */
};

/* Gets the password and puts its hash into the request as "password_hash". 0, or CH_E* after telling why. Wipe the
 * input with secret_wipe in each case. */
int password_input(const struct arguments *arguments, const char *login, struct password_input *input);

#endif
