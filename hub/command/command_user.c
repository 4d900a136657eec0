/* command_user.c: `cityhub user`: people who may log in at the HTTP server, their posts and passwords. What they may is
 * SQL's (schema/rules/identity*.sql). */
#include <stdio.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/command/commands.h"
#include "hub/command/password_input.h"

/* Calls the function, whose request needs a password; the answer, or NULL after telling why not. */
static cJSON *ask_with_password(PGconn *connection, const struct arguments *arguments, const char *function,
                                struct password_input *input) {
    const char *login = member_text(arguments->request, "login");
    return password_input(arguments, login, input) == 0 ? ask_json(connection, function, arguments->request) : NULL;
}

static void tell_generated(const struct password_input *input) {
    if (input->generated) {
        printf("Its password, shown this once: %s\n", input->password);
    }
}

static int add(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    struct password_input input;
    cJSON *answer = ask_with_password(connection, arguments, "onemap.user_add", &input);
    if (answer != NULL) {
        printf("user %s added\n", member_text(answer, "login"));
        tell_generated(&input);
    }
    secret_wipe(&input, sizeof input);
    cJSON_Delete(answer);
    return answer == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int change_password(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    struct password_input input;
    cJSON *answer = ask_with_password(connection, arguments, "onemap.user_password", &input);
    if (answer != NULL) {
        printf("user %s has a new password; %.0f sessions ended\n", member_text(answer, "login"),
               member_number(answer, "sessions", 0));
        tell_generated(&input);
    }
    secret_wipe(&input, sizeof input);
    cJSON_Delete(answer);
    return answer == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int change_role(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.user_role", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("user %s has the posts", member_text(answer, "login"));
    const cJSON *post;
    cJSON_ArrayForEach(post, member_get(answer, "posts")) {
        printf(" %s", cJSON_GetStringValue(post));
    }
    const char *department = member_text(answer, "department");
    printf("; %s%s\n", department[0] == '\0' ? "of no department" : "of the department ", department);
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int revoke(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.user_revoke", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("user %s revoked; %.0f sessions and %.0f tokens ended\n", member_text(answer, "login"),
           member_number(answer, "sessions", 0), member_number(answer, "tokens", 0));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* ---- the command ---- */

#define USER_LOGIN                                                                                                     \
    {                                                                                                                  \
        .name = "LOGIN", .kind = OPTION_TEXT, .required = true, .member = "login",                                     \
        .pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", .shape = "1 to 63 of a-z, 0-9, ., _ and -, first a letter or digit", \
        .help = "what the person logs in as"                                                                           \
    }
#define USER_POSTS                                                                                                     \
    .name = "posts", .argument = "LIST", .kind = OPTION_TEXT, .member = "posts",                                       \
    .words = "viewer supervisor acceptor registrar dispatcher department leader admin"
#define USER_DEPARTMENT .name = "department", .argument = "CODE", .kind = OPTION_TEXT, .member = "department"

static const struct command_option add_options[] = {
    USER_LOGIN,
    {.name = "name",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "name",
     .pattern = "^[^[:cntrl:]]{1,100}$",
     .shape = "1 to 100 characters",
     .help = "the person's name"},
    {USER_POSTS, .required = true, .help = "the posts (岗位) that the person holds, with commas between them"},
    {USER_DEPARTMENT,
     .help = "the department the person is of; viewer and department see its rows alone, and those below it"},
    PASSWORD_OPTIONS,
    {0},
};

static const struct command user_add = {
    .name = "add",
    .summary = "let a person log in",
    .text =
        "Lets a person log in, or again, if the login was revoked. A password has 10 characters or more; of it only a hash "
        "(Argon2id) is kept.",
    .options = add_options,
    .work = add,
    .examples = "cityhub user add li.si --name 李四 --posts dispatcher --generate-password\n"
                "cityhub user add wang --name 王五 --posts department,viewer --department huanwei\n",
};

static const struct command_option list_options[] = {
    {.name = "all", .kind = OPTION_FLAG, .member = "all", .help = "also those that are revoked"}, ASK_OPTIONS, {0}};

static const struct ask_list list_rows = {.rows = "onemap.user_list_table",
                                          .json = "onemap.user_list_json",
                                          .nothing = "Nobody can log in yet: `cityhub user add --help`.",
                                          .times = true};

static const struct command user_list = {
    .name = "list",
    .summary = "show people with their posts, department and open sessions",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub user list\n",
};

static const struct command_option role_options[] = {
    USER_LOGIN,
    {USER_POSTS, .help = "from now on these posts and no others, with commas between them"},
    {USER_DEPARTMENT, .help = "from now on of this department"},
    {.name = "no-department",
     .kind = OPTION_FLAG,
     .either = true,
     .member = "department",
     .value = "null",
     .help = "of none"},
    {0},
};

static const struct command user_role = {
    .name = "role",
    .summary = "change a person's posts or department",
    .text = "Changes what the options name. It is in force with the person's next request; nobody has to log in again.",
    .options = role_options,
    .work = change_role,
    .examples = "cityhub user role li.si --posts dispatcher,registrar\n",
};

static const struct command_option password_options[] = {USER_LOGIN, PASSWORD_OPTIONS, {0}};

static const struct command user_password = {
    .name = "password",
    .summary = "give a person a new password",
    .text = "Gives a person a new password; whatever is logged in as this person is out at once.",
    .options = password_options,
    .work = change_password,
    .examples = "cityhub user password li.si --generate-password\n",
};

static const struct command_option revoke_options[] = {USER_LOGIN, {0}};

static const struct command user_revoke = {
    .name = "revoke",
    .summary = "end a person's right to log in",
    .text =
        "Ends the right to log in; the person's sessions and own tokens end at once. What the journals say of the person "
        "stays.",
    .options = revoke_options,
    .work = revoke,
    .examples = "cityhub user revoke li.si\n",
};

static const struct command *const actions[] = {&user_add, &user_list, &user_role, &user_password, &user_revoke, NULL};

const struct command command_user = {
    .name = "user",
    .summary = "add, list, change and revoke people (账号) who log in over HTTP",
    .actions = actions,
    .more = "docs/identity.md",
};
