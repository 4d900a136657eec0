/* command_terminal.c: `cityhub terminal`: devices that speak HJ 212 or JT/T 808 to a gateway. The rules are SQL
 * (schema/rules/terminal.sql). Secrets come from files, are hashed here, and are never arguments, printed or stored. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/csv_table.h"
#include "hub/command/broker_files.h"
#include "hub/command/commands.h"
#include "hub/gateway/terminal.h"

enum { SECRET_FILE_MAX = 4096, SECRET_LENGTH_MAX = 256 };

/* Puts the secret's hash into the request or row; `text` is wiped. */
static int put_secret(cJSON *request, char *text) {
    unsigned char hash[SECRET_HASH_BYTES];
    char hex[2 * SECRET_HASH_BYTES + 1];
    const char *protocol = member_text(request, "protocol"), *identity = member_text(request, "identity");
    if (strcmp(protocol, "jt808") == 0) {
        identity += strspn(identity, "0"); /* as terminal_identity has it */
    }
    terminal_secret(protocol, identity, text, hash);
    secret_wipe(text, strlen(text));
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    return member_put(request, "secret_hash", cJSON_CreateString(hex));
}

/* Puts a key in hexadecimal into the request or row: it is written so, or as its 16 characters. `text` is wiped. */
static int put_key(cJSON *request, char *text) {
    char hex[2 * TERMINAL_KEY_BYTES + 1] = "";
    size_t length = strlen(text);
    if (length == TERMINAL_KEY_BYTES) {
        sodium_bin2hex(hex, sizeof hex, (const unsigned char *)text, length);
    } else if (length == 2 * (size_t)TERMINAL_KEY_BYTES && strspn(text, "0123456789abcdefABCDEF") == length) {
        memcpy(hex, text, sizeof hex);
    }
    secret_wipe(text, length);
    int code = member_put(request, "sm4_key", cJSON_CreateString(hex[0] == '\0' ? "no key" : hex));
    secret_wipe(hex, sizeof hex);
    return code;
}

static int secret_from_file(const char *path, cJSON *request, int (*put)(cJSON *request, char *text)) {
    char problem[FILE_PROBLEM_MAX];
    size_t size = 0;
    char *text = file_read(path, SECRET_FILE_MAX, &size, problem);
    if (text == NULL) {
        command_fail("%s: %s", path, problem);
        return CH_EIO;
    }
    size_t length = strcspn(text, "\r\n");
    int code = CH_EINVAL;
    if (length == 0 || length > SECRET_LENGTH_MAX) {
        command_fail("%s: the secret on its first line has %zu bytes; it must have 1 to %d", path, length,
                     SECRET_LENGTH_MAX);
    } else {
        text[length] = '\0';
        code = put(request, text);
    }
    secret_wipe(text, size);
    free(text);
    return code;
}

/* What a device logs in by at the broker follows the list. */
static int tokens_write(const struct config *config, PGconn *connection, const char *protocol) {
    bool wanted = config->mqtt_device_token_file[0] != '\0' && strcmp(protocol, "json") == 0;
    return !wanted || broker_logins_write(config, connection) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int add(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    if ((argument_given(arguments, "secret-file") &&
         secret_from_file(argument_text(arguments, "secret-file"), arguments->request, put_secret) != 0) ||
        (argument_given(arguments, "key-file") &&
         secret_from_file(argument_text(arguments, "key-file"), arguments->request, put_key) != 0)) {
        return EXIT_FAILED;
    }
    cJSON *answer = ask_json(connection, "onemap.terminal_add", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("terminal %s of %s %s: device %s of %s, %s\n", member_text(answer, "identity"),
           member_text(answer, "protocol"), member_text(answer, "outcome"), member_text(answer, "device"),
           member_text(answer, "vendor"), member_text(answer, "subsystem"));
    int exit_status = tokens_write(config, connection, member_text(answer, "protocol"));
    cJSON_Delete(answer);
    return exit_status;
}

static int adopt(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    if (member_put(arguments->request, "adopt", cJSON_CreateTrue()) != 0) {
        return command_fail("out of memory");
    }
    return add(config, connection, arguments);
}

static int revoke_terminal(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    cJSON *answer = ask_json(connection, "onemap.terminal_revoke", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("terminal %s %s\n", member_text(answer, "identity"),
           member_true(answer, "revoked") ? "revoked" : "was revoked before");
    cJSON_Delete(answer);
    return tokens_write(config, connection, member_text(arguments->request, "protocol"));
}

/* ---- import ---- */

static const char *const columns[] = {"protocol", "identity", "subsystem", "vendor",         "device",
                                      "dialect",  "crc",      "secret",    "offset_minutes", "sm4_key"};
static const struct csv_table table = {columns, COUNT_OF(columns), 4};

/* Secrets become hashes before anything leaves this program. */
static int hash_secrets(cJSON *rows) {
    cJSON *row;
    int code = 0;
    cJSON_ArrayForEach(row, rows) {
        cJSON *secret = cJSON_DetachItemFromObjectCaseSensitive(row, "secret");
        char *text = cJSON_GetStringValue(secret);
        if (text != NULL && text[0] != '\0' && code == 0) {
            code = put_secret(row, text);
        }
        cJSON_Delete(secret);
        cJSON *key = cJSON_DetachItemFromObjectCaseSensitive(row, "sm4_key");
        text = cJSON_GetStringValue(key);
        if (text != NULL && text[0] != '\0' && code == 0) {
            code = put_key(row, text);
        }
        cJSON_Delete(key);
    }
    return code;
}

static int import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    const char *path = argument_text(arguments, "FILE");
    bool check = argument_given(arguments, "check");
    cJSON *rows = csv_table_read(path, &table);
    if (rows == NULL || hash_secrets(rows) != 0) {
        cJSON_Delete(rows);
        return command_fail("%s: nothing is imported", path);
    }
    cJSON *answer = ask_json(connection, check ? "onemap.terminal_check" : "onemap.terminal_import", rows);
    int problems = answer == NULL ? 1 : csv_table_problems(path, answer);
    if (answer != NULL && problems > 0) {
        command_fail("%s: %d problem%s; nothing is imported", path, problems, problems == 1 ? "" : "s");
    } else if (answer != NULL && check) {
        printf("%s: %d rows, nothing is wrong with them\n", path, cJSON_GetArraySize(rows));
    } else if (answer != NULL) {
        printf("%.0f terminals added, %.0f changed\n", member_number(answer, "added", 0),
               member_number(answer, "changed", 0));
    }
    cJSON_Delete(rows);
    cJSON_Delete(answer);
    return problems == 0 && (check || tokens_write(config, connection, "json") == EXIT_DONE) ? EXIT_DONE : EXIT_FAILED;
}

static int tell(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.terminal_tell", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf(
        "command %.0f waits for terminal %s of %s until %s; `cityhub terminal list --commands` shows what becomes of it\n",
        member_number(answer, "id", 0), member_text(answer, "identity"), member_text(answer, "protocol"),
        member_text(answer, "expires_at"));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* ---- lists ---- */

static const struct ask_list known_rows = {.rows = "onemap.terminal_list_table",
                                           .json = "onemap.terminal_list_json",
                                           .nothing = "There is no terminal yet: `cityhub terminal add --help`.",
                                           .times = true};
static const struct ask_list pending_rows = {.rows = "onemap.terminal_pending_table",
                                             .json = "onemap.terminal_pending_json",
                                             .nothing = "No unknown terminal has called.",
                                             .times = true};
static const struct ask_list gateway_rows = {.rows = "onemap.gateway_list_table",
                                             .json = "onemap.gateway_list_json",
                                             .nothing = "No gateway has reported yet.",
                                             .times = true};

static const struct ask_list command_rows = {.rows = "onemap.terminal_command_table",
                                             .json = "onemap.terminal_command_json",
                                             .nothing =
                                                 "No terminal was told anything: `cityhub terminal tell --help`.",
                                             .times = true};

static int list(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return ask_print(connection,
                     argument_given(arguments, "pending")    ? &pending_rows
                     : argument_given(arguments, "gateways") ? &gateway_rows
                     : argument_given(arguments, "commands") ? &command_rows
                                                             : &known_rows,
                     arguments);
}

/* ---- the command ---- */

#define TERMINAL_PROTOCOL                                                                                              \
    .name = "protocol", .argument = "WORD", .kind = OPTION_WORD, .words = "hj212 jt808 json", .member = "protocol"
#define TERMINAL_IDENTITY                                                                                                                  \
    {                                                                                                                                      \
        .name = "identity", .argument = "TEXT", .kind = OPTION_TEXT, .required = true, .member = "identity",                               \
        .pattern = "^[A-Za-z0-9_.-]{1,64}$", .shape = "1 to 64 of A-Z, a-z, 0-9, _, . and -",                                              \
        .help =                                                                                                                            \
            "what it calls itself: its MN (HJ 212), or its phone number, zeros in front or not (JT/T 808), or a name for a platform that " \
            "pushes JSON, without a dot"                                                                                                   \
    }
#define TERMINAL_SETTINGS                                                                                              \
    {.name = "subsystem",                                                                                              \
     .argument = "KEY",                                                                                                \
     .kind = OPTION_SUBSYSTEM,                                                                                         \
     .required = true,                                                                                                 \
     .member = "subsystem",                                                                                            \
     .help = "the subsystem that its data belongs to"},                                                                \
        {.name = "vendor",                                                                                             \
         .argument = "NAME",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .required = true,                                                                                             \
         .member = "vendor",                                                                                           \
         .help = "the vendor whose device it is; `cityhub vendor add` makes one"},                                     \
        {.name = "device",                                                                                             \
         .argument = "CODE",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .member = "device",                                                                                           \
         .help = "the device's code, as in inventories; a new one's is its identity"},                                 \
        {.name = "dialect",                                                                                            \
         .argument = "NAME",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .member = "dialect",                                                                                          \
         .pattern = "^[a-z0-9_-]{1,40}$",                                                                              \
         .shape = "1 to 40 of a-z, 0-9, _ and -",                                                                      \
         .help = "what its codes, units and bits mean: a file of config/gateway/<protocol>, of json its "              \
                 "mapping, a file of config/mappings; a new one's is the "                                             \
                 "standard's"},                                                                                        \
        {.name = "crc",                                                                                                \
         .argument = "WORD",                                                                                           \
         .kind = OPTION_WORD,                                                                                          \
         .words = "standard modbus modbus-swapped off",                                                                \
         .member = "crc",                                                                                              \
         .help = "how it computes HJ 212's check value; a new one's is standard"},                                     \
        {.name = "offset-minutes",                                                                                     \
         .argument = "N",                                                                                              \
         .kind = OPTION_NUMBER,                                                                                        \
         .minimum = -720,                                                                                              \
         .maximum = 840,                                                                                               \
         .member = "offset_minutes",                                                                                   \
         .help = "how far its clock is ahead of UTC; a new one's is 480, China's"},                                    \
        {.name = "secret-file",                                                                                        \
         .argument = "FILE",                                                                                           \
         .kind = OPTION_FILE,                                                                                          \
         .help =                                                                                                       \
             "what it must say to be believed, on the file's first line: PW (HJ 212); token or terminal id "           \
             "(JT/T 808); of json what stands behind its identity and a dot in the address, and it must have one. "    \
             "Without one, whoever says its identity is believed"},                                                    \
        {.name = "key-file",                                                                                           \
         .argument = "FILE",                                                                                           \
         .kind = OPTION_FILE,                                                                                          \
         .help = "the key (SM4) of what HJ 212-2025 encrypts, on the file's first line: 16 characters or 32 "          \
                 "hexadecimal digits"},                                                                                \
    {                                                                                                                  \
        .name = "secret", .kind = OPTION_REFUSED,                                                                      \
        .help = "a secret is never an argument; --secret-file names the file it is in"                                 \
    }

static const struct command_option add_options[] = {
    {TERMINAL_PROTOCOL, .required = true, .help = "what it speaks"}, TERMINAL_IDENTITY, TERMINAL_SETTINGS, {0}};

static const struct command terminal_add = {
    .name = "add",
    .summary = "let a device speak to the gateways, or change what the options name",
    .text =
        "Lets a device speak to the gateways under its identity, or changes what the options name of one that is there. "
        "Gateways know it within a few seconds.",
    .options = add_options,
    .work = add,
    .examples =
        "cityhub terminal add --protocol hj212 --identity 010000A8900016F000169DC0 --subsystem dust --vendor acme \\\n"
        "    --device D-17 --secret-file d-17.pw\n",
};

static const struct command terminal_adopt = {
    .name = "adopt",
    .summary = "let an unknown device that has called speak",
    .text =
        "As add, for a device that `cityhub terminal list --pending` shows: a wrong letter in an identity is refused.",
    .options = add_options,
    .work = adopt,
    .examples =
        "cityhub terminal adopt --protocol jt808 --identity 13800138000 --subsystem construction_waste --vendor trucks\n",
};

static const struct command_option list_options[] = {
    {.name = "pending", .kind = OPTION_FLAG, .help = "those that were refused, why, and unknown ones' first frame"},
    {.name = "gateways", .kind = OPTION_FLAG, .either = true, .help = "the gateways, by their last reports"},
    {.name = "commands",
     .kind = OPTION_FLAG,
     .either = true,
     .help = "what terminals were told, the newest 1000, and what became of it"},
    {TERMINAL_PROTOCOL, .help = "only those that speak it"},
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .member = "subsystem",
     .help = "only those of this subsystem"},
    {.name = "vendor",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     .member = "vendor",
     .help = "only those of this vendor"},
    ASK_OPTIONS,
    {0}};

static const struct command terminal_list = {
    .name = "list",
    .summary = "show terminals, unknown ones that called, or the gateways",
    .options = list_options,
    .work = list,
    .list = &known_rows,
    .examples = "cityhub terminal list --subsystem dust\n"
                "cityhub terminal list --pending\n",
};

static const struct command_option import_options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .required = true,
     .help =
         "the file: CSV (RFC 4180), UTF-8; - is standard input. Its header names the columns: protocol, identity, subsystem, "
         "vendor, and of device, dialect, crc, secret, offset_minutes, sm4_key those that it has"},
    {.name = "check", .kind = OPTION_FLAG, .help = "tell what is wrong, and import nothing"},
    {0}};

static const struct command terminal_import = {
    .name = "import",
    .summary = "add or change all terminals of a CSV file, or none",
    .options = import_options,
    .work = import,
    .examples = "cityhub terminal import trucks.csv --check\n"
                "cityhub terminal import trucks.csv\n",
};

static const struct command_option revoke_options[] = {
    {TERMINAL_PROTOCOL, .required = true, .help = "what it speaks"}, TERMINAL_IDENTITY, {0}};

static const struct command terminal_revoke = {
    .name = "revoke",
    .summary = "end a terminal's right to speak",
    .text =
        "Ends it: gateways close its connection within seconds and take nothing more from it. What is stored stays.",
    .options = revoke_options,
    .work = revoke_terminal,
    .examples = "cityhub terminal revoke --protocol hj212 --identity 010000A8900016F000169DC0\n",
};

static const struct command_option tell_options[] = {
    {.name = "protocol",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .required = true,
     .words = "hj212 jt808",
     .member = "protocol",
     .help = "what it speaks"},
    TERMINAL_IDENTITY,
    {.name = "command",
     .argument = "WORD",
     .kind = OPTION_TEXT,
     .required = true,
     .words = "text position parameters set_parameters clock set_clock interval set_interval history new_key",
     .member = "command",
     .help =
         "what it is told: JT/T 808 a text for the driver, where are you, tell or set parameters; HJ 212 tell or set the "
         "clock, tell or set an interval of reports, send what you have stored, have a new key (SM4)"},
    {.name = "set",
     .argument = "KEY=VALUE",
     .kind = OPTION_PAIR,
     .words = "text urgent aloud parameters data interval from to expires_s",
     .help =
         "a field of the command; several by saying --set again. parameters='{\"0x0029\": 30}'; data=realtime or minute of "
         "an interval, minute, hour or day of history; expires_s: how long it may wait, 600 if it is not given"},
    {0}};

static const struct command terminal_tell = {
    .name = "tell",
    .summary = "tell a terminal something (终端指令)",
    .text =
        "Lets a command wait until a gateway has the terminal's connection, and notes it in the audit log. It goes down once; "
        "what becomes of it `cityhub terminal list --commands` shows.",
    .options = tell_options,
    .work = tell,
    .examples =
        "cityhub terminal tell --protocol jt808 --identity 13800138000 --command text --set text=请减速慢行 --set urgent=true\n"
        "cityhub terminal tell --protocol hj212 --identity 010000A8900016F000169DC0 --command set_clock\n",
};

static const struct command *const actions[] = {
    &terminal_add, &terminal_list, &terminal_import, &terminal_adopt, &terminal_revoke, &terminal_tell, NULL};

const struct command command_terminal = {
    .name = "terminal",
    .summary = "add, import, list, adopt, revoke and tell terminals (终端) that speak to a gateway",
    .actions = actions,
    .more = "docs/gateway.md",
};
