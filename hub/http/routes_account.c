/* routes_account.c: people, programs' tokens and alarm rules, as an administrator keeps them. Their functions are in
 * schema/rules/http_account.sql; that a person who holds the post admin asks is theirs to see. */
#include "hub/http/account.h"
#include "hub/http/routes.h"

#define LOGIN                                                                                                          \
    { .name = "login", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "what the person logs in as" }
#define TOKEN                                                                                                          \
    { .name = "token", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "the token's name" }
#define BODY                                                                                                           \
    { .types = "application/json", .limit = ACCOUNT_BODY_MAX }

static const struct parameter list_parameters[] = {
    {.name = "all", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "also those that are revoked"},
    {0},
};
static const struct parameter login_parameters[] = {LOGIN, {0}};
static const struct parameter token_parameters[] = {TOKEN, {0}};
static const struct parameter rules_parameters[] = {
    SUBSYSTEM,
    {.name = "edited",
     .kind = PARAMETER_BOOLEAN,
     .initial = "false",
     .meaning = "only those that the county has changed"},
    {0},
};
static const struct parameter rule_parameters[] = {
    SUBSYSTEM,
    {.name = "rule", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "the rule's key, such as pm10_high"},
    {0},
};

const struct route routes_account[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/users",
     .summary = "People who may log in, and the posts that there are",
     .right = RIGHT_OPERATE,
     .parameters = list_parameters,
     .function = "onemap.http_users",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/users",
     .summary = "Let a person log in; without a password one is made and shown once",
     .right = RIGHT_OPERATE,
     .body = {.types = "application/json", .limit = ACCOUNT_BODY_MAX, .sink = &account_password_sink},
     .function = "onemap.http_user_add",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/users/{login}/role",
     .summary = "Change a person's posts, department or name",
     .right = RIGHT_OPERATE,
     .parameters = login_parameters,
     .body = BODY,
     .function = "onemap.http_user_role",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/users/{login}/password",
     .summary = "Give a person a new password, or let one be made; ends the person's sessions",
     .right = RIGHT_OPERATE,
     .parameters = login_parameters,
     .body = {.types = "application/json", .limit = ACCOUNT_BODY_MAX, .sink = &account_password_sink},
     .function = "onemap.http_user_password",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/users/{login}/revoke",
     .summary = "End a person's right to log in, with sessions and own tokens",
     .right = RIGHT_OPERATE,
     .parameters = login_parameters,
     .function = "onemap.http_user_revoke",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/tokens",
     .summary = "Tokens of programs with their rights, end and last use",
     .right = RIGHT_OPERATE,
     .parameters = list_parameters,
     .function = "onemap.http_tokens",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/tokens",
     .summary = "Make a token for a program; it is shown once",
     .right = RIGHT_OPERATE,
     .body = {.types = "application/json", .limit = ACCOUNT_BODY_MAX, .sink = &account_token_sink},
     .function = "onemap.http_token_add",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/tokens/{token}/revoke",
     .summary = "End a token",
     .right = RIGHT_OPERATE,
     .parameters = token_parameters,
     .function = "onemap.http_token_revoke",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/alarm_rules",
     .summary = "Alarm rules with their limits and where those come from",
     .right = RIGHT_OPERATE,
     .parameters = rules_parameters,
     .function = "onemap.http_alarm_rules",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/alarm_rules/{subsystem}/{rule}",
     .summary = "Change an alarm rule, with the source of the change",
     .right = RIGHT_OPERATE,
     .parameters = rule_parameters,
     .body = BODY,
     .function = "onemap.http_alarm_rule_set",
     .content_type = JSON_TYPE},
    {0},
};
