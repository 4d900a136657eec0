/* command_vendor.c: `cityhub vendor`: who may push, and with which login. The rules are SQL (schema/009_command.sql).
 * Passwords come from a file or are made here and go to one; they are never arguments and never printed. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/command/broker_login.h"

enum { PASSWORD_LENGTH_MIN = 12, PASSWORD_LENGTH_MAX = 1024 };

static const char usage[] =
    "usage: cityhub vendor add --subsystem KEY --vendor NAME [OPTION ...]\n"
    "       cityhub vendor list [--json]\n"
    "       cityhub vendor revoke --subsystem KEY --vendor NAME\n"
    "       cityhub vendor sync\n\n"
    "add: lets NAME push a subsystem's data, or changes what the options name of a vendor that is there.\n"
    "  --name-zh TEXT            its name for people\n"
    "  --unknown-devices WORD    records of devices that no inventory named: register (default) or quarantine\n"
    "  --receipts WORD           receipts for all messages (default) or only those with problems\n"
    "  --silent-after TIME       no record of any of its devices for so long = an alarm (default '10 minutes')\n"
    "  --department CODE         the department its devices belong to, unless an inventory says otherwise\n"
    "  --password-file FILE      its broker password, 12 to 1024 bytes on the file's first line\n"
    "  --generate-password FILE  makes a password and writes it to FILE, which must not be there yet (mode 0600)\n"
    "  A login is one per vendor, for all its subsystems. Only a hash is kept.\n"
    "revoke: ends the right to push the subsystem; with the last one, the login. What is stored stays.\n"
    "sync: writes [mqtt] vendor_password_file anew from the database and runs [mqtt] vendor_reload_command, as add "
    "and\n"
    "  revoke do; for a broker that was set up anew.\n";

/* The options of add, as the settings of onemap.vendor_add(). --password is there to be refused: getopt would take it
 * for short for --password-file, and the password for a file's name that is then complained of. */
static const struct option add_options[] = {{"subsystem", required_argument, NULL, 's'},
                                            {"vendor", required_argument, NULL, 'v'},
                                            {"name-zh", required_argument, NULL, 'n'},
                                            {"unknown-devices", required_argument, NULL, 'u'},
                                            {"receipts", required_argument, NULL, 'r'},
                                            {"silent-after", required_argument, NULL, 'a'},
                                            {"department", required_argument, NULL, 'd'},
                                            {"password-file", required_argument, NULL, 'p'},
                                            {"generate-password", required_argument, NULL, 'g'},
                                            {"password", optional_argument, NULL, 'w'},
                                            {0}};

static const char *setting_name(int option) {
    switch (option) {
    case 's':
        return "subsystem";
    case 'v':
        return "vendor";
    case 'n':
        return "name_zh";
    case 'u':
        return "unknown_devices";
    case 'r':
        return "receipts";
    case 'a':
        return "silent_after";
    case 'd':
        return "department";
    default:
        return NULL;
    }
}

struct add {
    cJSON *settings;
    const char *vendor;
    const char *password_file, *generate_file;
};

/* Returns EXIT_DONE, or what command_misuse says. */
static int add_parse(struct add *add, int argc, char **argv) {
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", add_options, NULL)) != -1;) {
        const char *name = setting_name(option);
        if (name != NULL) {
            cJSON_DeleteItemFromObject(add->settings, name);
            cJSON_AddStringToObject(add->settings, name, optarg);
            add->vendor = option == 'v' ? optarg : add->vendor;
        } else if (option == 'p') {
            add->password_file = optarg;
        } else if (option == 'g') {
            add->generate_file = optarg;
        } else if (option == 'w') {
            return command_misuse(
                "cityhub vendor",
                "vendor add: a password is never an argument; --password-file names the file it is in");
        } else {
            return command_misuse("cityhub vendor", "vendor add: see above");
        }
    }
    if (optind < argc) {
        return command_misuse("cityhub vendor", "`%s` is one argument too many", argv[optind]);
    }
    if (!cJSON_HasObjectItem(add->settings, "subsystem") || add->vendor == NULL) {
        return command_misuse("cityhub vendor", "vendor add: --subsystem and --vendor are needed");
    }
    if (add->password_file != NULL && add->generate_file != NULL) {
        return command_misuse("cityhub vendor", "vendor add: --password-file or --generate-password, not both");
    }
    return EXIT_DONE;
}

static int hash_from_file(const char *path, char hash[BROKER_HASH_TEXT]) {
    char *password = config_secret(path);
    if (password == NULL) {
        return CH_EIO;
    }
    size_t length = strlen(password);
    int code = CH_EINVAL;
    if (length < PASSWORD_LENGTH_MIN || length > PASSWORD_LENGTH_MAX) {
        command_fail("%s: the password on its first line has %zu bytes; it must have %d to %d", path, length,
                     PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX);
    } else {
        code = broker_hash(password, hash);
    }
    OPENSSL_cleanse(password, length);
    free(password);
    return code;
}

/* A password that cannot be handed over is of no use: the file comes first, then the hash. */
static int hash_from_new_file(const char *path, char hash[BROKER_HASH_TEXT]) {
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
        code = broker_hash(password, hash);
    }
    close(file);
    if (code != 0) {
        unlink(path);
    }
    OPENSSL_cleanse(password, sizeof password);
    return code;
}

static int add_login(const struct config *config, PGconn *connection, const struct add *add) {
    char hash[BROKER_HASH_TEXT];
    int taken = broker_login_taken(config, connection, add->vendor);
    if (taken != 0) {
        if (taken > 0) {
            command_fail("`%s` is a login of the broker already, and not a vendor's: take another name", add->vendor);
        }
        return taken > 0 ? CH_EINVAL : taken;
    }
    int code = 0;
    if (add->password_file != NULL) {
        code = hash_from_file(add->password_file, hash);
    } else if (add->generate_file != NULL) {
        code = hash_from_new_file(add->generate_file, hash);
    } else {
        return 0;
    }
    if (code == 0 && cJSON_AddStringToObject(add->settings, "password_hash", hash) == NULL) {
        code = CH_EMEMORY;
    }
    return code;
}

/* Tells what onemap.vendor_add() answered, and what is still to do. */
static void add_report(const struct config *config, const struct add *add, const char *answer) {
    cJSON *facts = cJSON_Parse(answer);
    const char *subsystem = cJSON_GetStringValue(cJSON_GetObjectItem(facts, "subsystem"));
    printf("vendor %s of %s %s\n", add->vendor, subsystem,
           cJSON_IsTrue(cJSON_GetObjectItem(facts, "created")) ? "added" : "changed");
    if (!cJSON_IsTrue(cJSON_GetObjectItem(facts, "login"))) {
        printf("It has no broker login here: --password-file or --generate-password gives it one.\n");
    } else if (config->mqtt_vendor_password_file[0] == '\0') {
        printf("[mqtt] vendor_password_file is empty: its login is in the database, and no broker is told.\n");
    }
    if (add->generate_file != NULL) {
        printf("Its password is in %s: hand it over and delete the file.\n", add->generate_file);
    }
    cJSON_Delete(facts);
}

static int add_store(const struct config *config, PGconn *connection, const struct add *add) {
    int code = add_login(config, connection, add);
    if (code != 0) {
        return EXIT_FAILED;
    }
    char *settings = cJSON_PrintUnformatted(add->settings);
    char *answer = settings == NULL ? NULL
                                    : database_text(connection, "SELECT onemap.vendor_add($1::jsonb)", 1,
                                                    (const char *const[]){settings});
    free(settings);
    if (answer == NULL) {
        if (add->generate_file != NULL) {
            unlink(add->generate_file); /* a password that opens nothing */
        }
        return EXIT_FAILED;
    }
    code = broker_logins_write(config, connection);
    add_report(config, add, answer);
    free(answer);
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int vendor_add(const struct config *config, int argc, char **argv) {
    struct add add = {.settings = cJSON_CreateObject()};
    int code = add_parse(&add, argc, argv);
    if (code == EXIT_DONE) {
        PGconn *connection = database_connect(config, "vendor add");
        code = connection == NULL ? EXIT_FAILED : add_store(config, connection, &add);
        PQfinish(connection);
    }
    cJSON_Delete(add.settings);
    return code;
}

static const char list_sql[] =
    "SELECT v.subsystem, v.vendor, v.name_zh AS name, v.unknown_devices, v.receipts, v.silent_after, v.department, "
    "v.devices,"
    " v.online, pg_catalog.to_char(v.last_seen_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'),"
    " 'YYYY-MM-DD HH24:MI:SS') AS last_seen, CASE WHEN v.login THEN 'yes' ELSE 'no' END AS login,"
    " pg_catalog.to_char(v.revoked_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'), 'YYYY-MM-DD HH24:MI')"
    " AS revoked FROM onemap.vendor_overview v ORDER BY v.subsystem, v.vendor";

static const char list_json_sql[] =
    "SELECT pg_catalog.jsonb_pretty(coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(v) ORDER BY v.subsystem, "
    "v.vendor),"
    " '[]')) FROM onemap.vendor_overview v";

static int vendor_list(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j') {
            return command_misuse("cityhub vendor", "vendor list: see above");
        }
        json = true;
    }
    if (optind < argc) {
        return command_misuse("cityhub vendor", "`%s` is one argument too many", argv[optind]);
    }
    PGconn *connection = database_connect(config, "vendor list");
    PGresult *rows = connection == NULL ? NULL : database_query(connection, json ? list_json_sql : list_sql, 0, NULL);
    if (rows != NULL && json) {
        printf("%s\n", PQgetvalue(rows, 0, 0));
    } else if (rows != NULL && PQntuples(rows) == 0) {
        printf("There is no vendor yet: `cityhub vendor add --help`.\n");
    } else if (rows != NULL) {
        print_table(stdout, rows);
    }
    int code = rows == NULL ? EXIT_FAILED : EXIT_DONE;
    PQclear(rows);
    PQfinish(connection);
    return code;
}

static int revoke_store(const struct config *config, PGconn *connection, const char *subsystem, const char *vendor) {
    char *answer =
        database_text(connection, "SELECT onemap.vendor_end($1, $2)", 2, (const char *const[]){subsystem, vendor});
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    cJSON *facts = cJSON_Parse(answer);
    bool revoked = cJSON_IsTrue(cJSON_GetObjectItem(facts, "revoked"));
    bool login = cJSON_IsTrue(cJSON_GetObjectItem(facts, "login"));
    printf("vendor %s of %s %s; %s\n", vendor, subsystem, revoked ? "revoked" : "was revoked before",
           login ? "its login stays for its other subsystems" : "it has no login any more");
    cJSON_Delete(facts);
    free(answer);
    return broker_logins_write(config, connection) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int vendor_revoke(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {
        {"subsystem", required_argument, NULL, 's'}, {"vendor", required_argument, NULL, 'v'}, {0}};
    const char *subsystem = NULL;
    const char *vendor = NULL;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's') {
            subsystem = optarg;
        } else if (option == 'v') {
            vendor = optarg;
        } else {
            return command_misuse("cityhub vendor", "vendor revoke: see above");
        }
    }
    if (optind < argc || subsystem == NULL || vendor == NULL) {
        return command_misuse("cityhub vendor", "vendor revoke: --subsystem and --vendor are needed, and nothing else");
    }
    PGconn *connection = database_connect(config, "vendor revoke");
    int code = connection == NULL ? EXIT_FAILED : revoke_store(config, connection, subsystem, vendor);
    PQfinish(connection);
    return code;
}

static int vendor_sync(const struct config *config, int argc, char **argv) {
    if (argc > 1) {
        return command_misuse("cityhub vendor", "vendor sync: `%s` is one argument too many", argv[1]);
    }
    if (config->mqtt_vendor_password_file[0] == '\0') {
        return command_fail("[mqtt] vendor_password_file is empty: there is no file to write");
    }
    PGconn *connection = database_connect(config, "vendor sync");
    int code = connection == NULL ? CH_EDATABASE : broker_logins_write(config, connection);
    PQfinish(connection);
    if (code == 0) {
        printf("%s is written\n", config->mqtt_vendor_password_file);
    }
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_vendor(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {
        {"add", vendor_add}, {"list", vendor_list}, {"revoke", vendor_revoke}, {"sync", vendor_sync}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}
