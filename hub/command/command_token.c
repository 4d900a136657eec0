/* command_token.c: `cityhub token`: tokens by which programs come in at the HTTP server. What they may is SQL's
 * (schema/rules/identity*.sql). Must never show a token but when it is made. */
#include <stdio.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/cli/ask.h"
#include "hub/command/commands.h"

static int put_hash(const struct arguments *arguments, const char *token) {
    char hash[SECRET_HASH_TEXT];
    secret_hash_text(token, hash);
    return member_put(arguments->request, "hash", cJSON_CreateString(hash));
}

static int add(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    char token[TOKEN_TEXT];
    if (secret_token(token) != 0 || put_hash(arguments, token) != 0) {
        return command_fail("there are no random numbers, or memory is out");
    }
    cJSON *answer = ask_json(connection, "onemap.token_add", arguments->request);
    if (answer != NULL) {
        printf("token %s added; it expires on %s\n", member_text(answer, "name"), member_text(answer, "expires"));
        printf("The token, shown this once: %s\n", token);
    }
    secret_wipe(token, sizeof token);
    cJSON_Delete(answer);
    return answer == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int revoke(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.token_revoke", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("token %s revoked\n", member_text(answer, "name"));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* ---- the command ---- */

#define TOKEN_NAME                                                                                                     \
    {                                                                                                                  \
        .name = "NAME", .kind = OPTION_TEXT, .required = true, .member = "name",                                       \
        .pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", .shape = "1 to 63 of a-z, 0-9, ., _ and -, first a letter or digit", \
        .help = "what lists and the audit log call it"                                                                 \
    }

static const struct command_option add_options[] = {
    TOKEN_NAME,
    {.name = "rights",
     .argument = "LIST",
     .kind = OPTION_TEXT,
     .initial = "read",
     .member = "rights",
     .words = "read alarm operate open311 order exchange command act",
     .help = "what it may (权限), with commas between them"},
    {.name = "days",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 3660,
     .initial = "365",
     .unit = "days",
     .member = "days",
     .help = "how long it holds"},
    {.name = "owner",
     .argument = "LOGIN",
     .kind = OPTION_TEXT,
     .member = "owner",
     .help = "the person whose it is: it may no more than the person may, and ends with the person"},
    {.name = "department",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .either = true,
     .member = "department",
     .help = "it sees this department's rows alone, and those below it"},
    {0},
};

static const struct command token_add = {
    .name = "add",
    .summary = "make a token for a program",
    .text =
        "Makes a token and prints it, once: only its hash is kept. A program sends it as `Authorization: Bearer TOKEN`; GIS "
        "programs that know user and password alone send it as the password of any user.",
    .options = add_options,
    .work = add,
    .examples = "cityhub token add prometheus --rights operate --days 730\n"
                "cityhub token add qgis-li --owner li.si\n",
};

static const struct command_option list_options[] = {
    {.name = "all", .kind = OPTION_FLAG, .member = "all", .help = "also those that are revoked"}, ASK_OPTIONS, {0}};

static const struct ask_list list_rows = {.rows = "onemap.token_list_table",
                                          .json = "onemap.token_list_json",
                                          .nothing = "There is no token yet: `cityhub token add --help`.",
                                          .times = true};

static const struct command token_list = {
    .name = "list",
    .summary = "show tokens with their rights, end and last use",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub token list\n",
};

static const struct command_option revoke_options[] = {TOKEN_NAME, {0}};

static const struct command token_revoke = {
    .name = "revoke",
    .summary = "end a token",
    .text = "Ends a token with its next request.",
    .options = revoke_options,
    .work = revoke,
    .examples = "cityhub token revoke qgis-li\n",
};

static const struct command *const actions[] = {&token_add, &token_list, &token_revoke, NULL};

const struct command command_token = {
    .name = "token",
    .summary = "add, list and revoke tokens (令牌) of programs",
    .actions = actions,
    .more = "docs/identity.md",
};
