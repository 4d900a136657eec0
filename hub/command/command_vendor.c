/* command_vendor.c: `cityhub vendor`: who may push, and with which login. The rules are SQL (schema/009_command.sql).
 * Passwords come from a file or are made here and go to one; they are never arguments and never printed. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/command/broker_files.h"
#include "hub/command/broker_login.h"
#include "hub/command/commands.h"

enum { PASSWORD_LENGTH_MIN = 12, PASSWORD_LENGTH_MAX = 1024, PASSWORD_FILE_MAX = 4096 };

static int hash_from_file(const struct config *config, const char *path, char hash[BROKER_HASH_TEXT]) {
    char problem[FILE_PROBLEM_MAX];
    size_t size = 0;
    char *password = file_read(path, PASSWORD_FILE_MAX, &size, problem);
    if (password == NULL) {
        command_fail("%s: %s", path, problem);
        return CH_EIO;
    }
    size_t length = strcspn(password, "\r\n");
    password[length] = '\0';
    int code = CH_EINVAL;
    if (length < PASSWORD_LENGTH_MIN || length > PASSWORD_LENGTH_MAX) {
        command_fail("%s: the password on its first line has %zu bytes; it must have %d to %d", path, length,
                     PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX);
    } else {
        code = broker_hash(config, password, hash);
    }
    OPENSSL_cleanse(password, size);
    free(password);
    return code;
}

/* A password that cannot be handed over is of no use: the file comes first, then the hash. */
static int hash_from_new_file(const struct config *config, const char *path, char hash[BROKER_HASH_TEXT]) {
    char password[BROKER_PASSWORD_TEXT];
    int code = broker_password(password);
    if (code != 0) {
        return code;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        command_fail("%s: cannot be made: %s", path, strerror(errno));
        return CH_EIO;
    }
    if (dprintf(file, "%s\n", password) < 0 || fsync(file) != 0) {
        command_fail("%s: cannot be written: %s", path, strerror(errno));
        code = CH_EIO;
    } else {
        code = broker_hash(config, password, hash);
    }
    close(file);
    if (code != 0) {
        unlink(path);
    }
    OPENSSL_cleanse(password, sizeof password);
    return code;
}

/* Puts the login's hash into the settings, if one is wanted. */
static int add_login(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    char hash[BROKER_HASH_TEXT];
    const char *vendor = argument_text(arguments, "vendor");
    int taken = broker_login_taken(config, connection, vendor);
    if (taken != 0) {
        if (taken > 0) {
            command_fail("`%s` is a login of the broker already, and not a vendor's: take another name", vendor);
        }
        return taken > 0 ? CH_EINVAL : taken;
    }
    int code = 0;
    if (argument_given(arguments, "password-file")) {
        code = hash_from_file(config, argument_text(arguments, "password-file"), hash);
    } else if (argument_given(arguments, "generate-password")) {
        code = hash_from_new_file(config, argument_text(arguments, "generate-password"), hash);
    } else {
        return 0;
    }
    return code == 0 ? member_put(arguments->request, "password_hash", cJSON_CreateString(hash)) : code;
}

static void add_report(const struct config *config, const struct arguments *arguments, const cJSON *answer) {
    printf("vendor %s of %s %s\n", member_text(answer, "vendor"), member_text(answer, "subsystem"),
           member_true(answer, "created") ? "added" : "changed");
    if (!member_true(answer, "login")) {
        printf("It has no broker login here: --password-file or --generate-password gives it one.\n");
    } else if (!broker_files_any(config)) {
        printf("[mqtt] vendor_password_file is empty: its login is in the database, and no broker is told.\n");
    }
    if (argument_given(arguments, "generate-password")) {
        printf("Its password is in %s: hand it over and delete the file.\n",
               argument_text(arguments, "generate-password"));
    }
}

static int add(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    if (add_login(config, connection, arguments) != 0) {
        return EXIT_FAILED;
    }
    cJSON *answer = ask_json(connection, "onemap.vendor_add", arguments->request);
    if (answer == NULL) {
        if (argument_given(arguments, "generate-password")) {
            unlink(argument_text(arguments, "generate-password")); /* a password that opens nothing */
        }
        return EXIT_FAILED;
    }
    int code = broker_logins_write(config, connection);
    add_report(config, arguments, answer);
    cJSON_Delete(answer);
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int revoke_vendor(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    cJSON *answer = ask_json(connection, "onemap.vendor_end", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("vendor %s of %s %s; %s\n", member_text(answer, "vendor"), member_text(answer, "subsystem"),
           member_true(answer, "revoked") ? "revoked" : "was revoked before",
           member_true(answer, "login") ? "its login stays for its other subsystems" : "it has no login any more");
    cJSON_Delete(answer);
    return broker_logins_write(config, connection) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* The connection of an action that is about the broker's files alone; NULL after telling why not. */
static PGconn *files_connect(const struct config *config, const struct arguments *arguments) {
    if (!broker_files_any(config)) {
        command_fail("[mqtt] vendor_password_file and vendor_definitions_file are empty: there is no file");
        return NULL;
    }
    return database_connect(config, arguments->name);
}

static int sync_files(const struct config *config, const struct arguments *arguments) {
    PGconn *connection = files_connect(config, arguments);
    bool done = connection != NULL && broker_logins_write(config, connection) == 0;
    PQfinish(connection);
    const char *path;
    for (size_t i = 0; done && (path = broker_files_path(config, i)) != NULL; i++) {
        printf("%s is written\n", path);
    }
    return done ? EXIT_DONE : EXIT_FAILED;
}

static int check_files(const struct config *config, const struct arguments *arguments) {
    PGconn *connection = files_connect(config, arguments);
    int differences = connection == NULL ? CH_EDATABASE : broker_files_check(config, connection);
    PQfinish(connection);
    if (differences == 0) {
        printf("The broker's files say what the database says.\n");
    } else if (differences > 0) {
        command_fail("%d differences: `cityhub vendor sync` makes the files anew", differences);
    }
    return differences == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the command ---- */

#define VENDOR_SUBSYSTEM .name = "subsystem", .argument = "KEY", .kind = OPTION_SUBSYSTEM, .member = "subsystem"

/* The form is that of onemap.vendor: it stands in topics, and is the login. */
#define VENDOR_NAME                                                                                                    \
    {                                                                                                                  \
        .name = "vendor", .argument = "NAME", .kind = OPTION_TEXT, .required = true, .member = "vendor",               \
        .pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", .shape = "1 to 63 of a-z, 0-9, _ and -, first a letter or digit",     \
        .help = "the vendor's name, as it stands in topics; its login at the broker"                                   \
    }

static const struct command_option add_options[] = {
    {VENDOR_SUBSYSTEM, .required = true, .help = "the subsystem whose data it pushes"},
    VENDOR_NAME,
    {.name = "name-zh",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .member = "name_zh",
     .help = "name of this subsystem's platform for people"},
    {.name = "company",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .member = "company",
     .help = "the company behind it, for all its subsystems"},
    {.name = "contact",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .member = "contact",
     .help = "whom to call there; no list shows it, and whoever asks for it is noted"},
    {.name = "unknown-devices",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .words = "register quarantine",
     .member = "unknown_devices",
     .help = "what becomes of records of devices that no inventory named; a new vendor's are registered"},
    {.name = "receipts",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .words = "all problems",
     .member = "receipts",
     .help = "receipts (回执) for all messages, or only for those with problems; a new vendor gets all"},
    {.name = "silent-after",
     .argument = "TIME",
     .kind = OPTION_TEXT,
     .member = "silent_after",
     .help =
         "no record of any of its devices for so long is an alarm: 10 seconds or more, such as '5 minutes'; a new vendor's is "
         "10 minutes"},
    {.name = "department",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .member = "department",
     .help = "the department its devices belong to, unless an inventory says otherwise"},
    {.name = "password-file",
     .argument = "FILE",
     .kind = OPTION_FILE,
     .help = "its broker password, 12 to 1024 bytes on the file's first line"},
    {.name = "generate-password",
     .argument = "FILE",
     .kind = OPTION_FILE,
     .either = true,
     .help = "make a password and write it to FILE, which must not be there yet (mode 0600)"},
    /* getopt would take it for short for --password-file, and a password for a file's name that is then complained of.
     */
    {.name = "password",
     .kind = OPTION_REFUSED,
     .help = "a password is never an argument; --password-file names the file it is in"},
    {0},
};

static const struct command vendor_add = {
    .name = "add",
    .summary = "let a vendor push a subsystem's data, or change what the options name",
    .text =
        "Lets a vendor push a subsystem's data, or changes what the options name of one that is there. A login is one per vendor, "
        "for all its subsystems; of its password only a hash is kept. The broker's files are written anew, as by sync.",
    .options = add_options,
    .work = add,
    .examples = "cityhub vendor add --subsystem dust --vendor acme --name-zh 某扬尘平台 \\\n"
                "    --generate-password acme.password\n"
                "cityhub vendor add --subsystem dust --vendor acme --silent-after '5 minutes' \\\n"
                "    --unknown-devices quarantine\n",
};

static const struct command_option list_options[] = {
    {VENDOR_SUBSYSTEM, .help = "only those of this subsystem"}, ASK_OPTIONS, {0}};

static const struct ask_list list_rows = {.rows = "onemap.vendor_list_table",
                                          .json = "onemap.vendor_list_json",
                                          .nothing = "There is no vendor yet: `cityhub vendor add --help`.",
                                          .times = true};

static const struct command vendor_list = {
    .name = "list",
    .summary = "show vendors, what they may, their devices and when they were heard last",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub vendor list --subsystem gas\n",
};

static const struct command_option conformity_options[] = {
    {VENDOR_SUBSYSTEM, .help = "only those of this subsystem"},
    {.name = "vendor", .argument = "NAME", .kind = OPTION_TEXT, .member = "vendor", .help = "only this vendor"},
    OPTION_DAY(.name = "from", .member = "from", .help = "from this day of the county on; by default the last one"),
    OPTION_DAY(.name = "to", .member = "to", .help = "up to this day, which is still in it; by default today"),
    ASK_OPTIONS,
    {0}};

static const struct ask_list conformity_rows = {.rows = "onemap.vendor_conformity_table",
                                                .json = "onemap.vendor_conformity_json",
                                                .nothing = "There is no vendor yet: `cityhub vendor add --help`."};

static const struct command vendor_conformity = {
    .name = "conformity",
    .summary = "show what vendors sent and how much of it had nothing to mend (符合率)",
    .text =
        "Shows of each vendor, the worst first, the rate of conformity in percent: records that were stored with nothing to mend, "
        "of all records but those that the database refused; then messages and records of these days.",
    .options = conformity_options,
    .list = &conformity_rows,
    .examples = "cityhub vendor conformity --from 2026-03-01 --to 2026-03-31\n",
};

static const struct command_option revoke_options[] = {
    {VENDOR_SUBSYSTEM, .required = true, .help = "the subsystem that it may push no longer"}, VENDOR_NAME, {0}};

static const struct command vendor_revoke = {
    .name = "revoke",
    .summary = "end a vendor's right to push a subsystem",
    .text = "Ends the right to push the subsystem; with the last one, the login at the broker. What is stored stays.",
    .options = revoke_options,
    .work = revoke_vendor,
    .examples = "cityhub vendor revoke --subsystem dust --vendor acme\n",
};

static const struct command vendor_sync = {
    .name = "sync",
    .summary = "write the broker's files anew from the database",
    .text =
        "Writes [mqtt] vendor_password_file, vendor_acl_file and vendor_definitions_file anew from the database and runs [mqtt] "
        "vendor_reload_command, as add and revoke do; for a broker that was set up anew, or an earlier version of cityhub. What "
        "the files say of others than vendors stays.",
    .run = sync_files,
};

static const struct command vendor_check = {
    .name = "check",
    .summary = "tell where the broker's files are not as the database has it",
    .text =
        "Compares [mqtt] vendor_password_file, vendor_acl_file and vendor_definitions_file with the rights and logins in the "
        "database and tells each line that is missing or should not be there; fails if there is one.",
    .run = check_files,
};

static const struct command *const actions[] = {
    &vendor_add, &vendor_list, &vendor_conformity, &vendor_revoke, &vendor_sync, &vendor_check, NULL};

const struct command command_vendor = {
    .name = "vendor",
    .summary = "add, list and revoke vendors (厂商) and their broker logins",
    .actions = actions,
    .more = "docs/deploy.md, docs/vendor.md",
};
