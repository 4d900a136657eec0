/* config.c: the configuration as one typed table: section, key, kind, range, default, meaning.
 * What is not in the table is refused, so that a mistyped key never passes silently. */
#include "hub/config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/adapter.h"
#include "hub/error.h"
#include "hub/log.h"

enum option_kind { OPTION_TEXT, OPTION_NUMBER };

struct option {
    const char *section, *key;
    enum option_kind kind;
    size_t offset;
    int64_t minimum, maximum; /* OPTION_NUMBER */
    const char *initial;
    const char *meaning;
};

#define TEXT(section, key, initial, meaning)                                                                           \
    { #section, #key, OPTION_TEXT, offsetof(struct config, section##_##key), 0, 0, initial, meaning }
#define NUMBER(section, key, minimum, maximum, initial, meaning)                                                       \
    { #section, #key, OPTION_NUMBER, offsetof(struct config, section##_##key), minimum, maximum, initial, meaning }

static const struct option options[] = {
    TEXT(hub, instance, "hub1",
         "name of this hub; prefix of its MQTT client ids, so it must not change while messages wait"),
    TEXT(hub, data_dir, CITYHUB_DATA_DIR, "folder that holds schema/ and adapters/ (for migrate)"),
    TEXT(hub, log_level, "info", "error, warning, info or debug"),
    TEXT(database, conninfo, "dbname=cityhub",
         "libpq connection string of the daemon; passwords belong into ~/.pgpass"),
    TEXT(database, migrate_conninfo, "", "connection string of the schema's owner, for migrate; empty = conninfo"),
    NUMBER(database, writers, 2, 16, "4", "connections that store batches"),
    NUMBER(database, connect_timeout_s, 1, 60, "5", "seconds to wait for a connection"),
    NUMBER(database, statement_timeout_s, 1, 3600, "60", "seconds to wait for one statement"),
    TEXT(mqtt, host, "127.0.0.1", "broker's host name or address"),
    NUMBER(mqtt, port, 1, 65535, "1883", "broker's port"),
    TEXT(mqtt, username, "", "the hub's login at the broker; empty = anonymous"),
    TEXT(mqtt, password_file, "", "file with the password of the login, on its first line"),
    TEXT(mqtt, tls_ca_file, "", "file with the certificate authority; set = connect with TLS"),
    NUMBER(mqtt, keepalive_s, 5, 600, "60", "seconds between signs of life"),
    NUMBER(mqtt, session_expiry_s, 60, 4294967295, "4294967295",
           "seconds the broker keeps messages while the hub is away; the largest value = for ever"),
    NUMBER(mqtt, receive_maximum, 10, 65535, "20000",
           "unacknowledged messages a lane may hold; broker's max_inflight_messages must not be smaller"),
    TEXT(mqtt, vendor_password_file, "",
         "the broker's password file, written by `cityhub vendor`; empty = logins are kept elsewhere"),
    TEXT(mqtt, vendor_reload_command, "", "shell command that makes the broker read its password file again"),
    NUMBER(lane, batch_records, 1, 100000, "5000", "records in a batch at the most (a message is never divided)"),
    NUMBER(lane, batch_age_ms, 1, 10000, "50",
           "milliseconds after its first message when a batch is stored, full or not"),
    NUMBER(lane, max_payload_bytes, 1024, 268435455, "4194304",
           "bytes of a message; a larger one goes to quarantine unread"),
    TEXT(lane, counts, "", "lanes of subsystems that need more than one, e.g. dust=3 gas=2"),
    NUMBER(time, max_ahead_s, 0, 86400, "300", "seconds a record may be ahead of the hub's clock"),
    NUMBER(retention, observation_days, 1, 36500, "730",
           "days that observations and track points are kept; older records are refused"),
    NUMBER(retention, partitions_ahead_days, 1, 60, "7", "days for which partitions are made ahead"),
    NUMBER(retention, quarantine_days, 1, 36500, "365", "days that quarantined messages are kept"),
    NUMBER(retention, outbox_days, 1, 3650, "30", "days that sent receipts are kept"),
    TEXT(http, listen, "127.0.0.1", "address the hub's HTTP server binds to"),
    NUMBER(http, port, 0, 65535, "8080", "its port; 0 = any free one (written to the log)"),
    NUMBER(jobs, device_state_s, 1, 3600, "2", "seconds between writes of changed device states"),
    NUMBER(jobs, rollup_s, 1, 86400, "60", "seconds between hourly rollups"),
    NUMBER(jobs, offline_s, 1, 3600, "15", "seconds between looks for silent devices and vendors"),
};

static const struct option *option_find(const char *section, const char *key) {
    for (size_t i = 0; i < ADAPTER_COUNT_OF(options); i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Stores `value`; returns NULL or what is wrong with it. */
static const char *option_set(struct config *config, const struct option *option, const char *value) {
    void *field = (char *)config + option->offset;
    if (option->kind == OPTION_TEXT) {
        char *copy = strdup(value);
        if (copy == NULL) {
            return "out of memory";
        }
        free(*(char **)field);
        *(char **)field = copy;
        return NULL;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0') {
        return "is not a whole number";
    }
    if (number < option->minimum || number > option->maximum) {
        return "is out of range";
    }
    *(int64_t *)field = number;
    return NULL;
}

struct reading {
    struct config *config;
    const char *path;
    FILE *file;
    int line;
    FILE *errors;
    int problems;
};

/* Debian's inih does not tell its handler the line number: count the lines as it reads them. A line that does not fit
 * into its buffer would be cut silently; it is refused instead. */
static char *reading_line(char *line, int size, void *user) {
    struct reading *reading = user;
    if (fgets(line, size, reading->file) == NULL) {
        return NULL;
    }
    reading->line++;
    if (strchr(line, '\n') == NULL && !feof(reading->file)) {
        fprintf(reading->errors, "%s:%d: is longer than %d bytes\n", reading->path, reading->line, size - 2);
        reading->problems++;
        for (int byte; (byte = fgetc(reading->file)) != EOF && byte != '\n';) {
        }
    }
    /* inih would take an indented line for more of the value before it. */
    size_t indent = strspn(line, " \t");
    memmove(line, line + indent, strlen(line) - indent + 1);
    return line;
}

static int reading_entry(void *user, const char *section, const char *key, const char *value) {
    struct reading *reading = user;
    int line = reading->line;
    const struct option *option = option_find(section, key);
    if (option == NULL) {
        fprintf(reading->errors, "%s:%d: [%s] %s: no such key; `cityhub check-config --print` lists them all\n",
                reading->path, line, section, key);
        reading->problems++;
        return 1;
    }
    const char *problem = option_set(reading->config, option, value);
    if (problem != NULL) {
        fprintf(reading->errors, "%s:%d: [%s] %s = %s: %s", reading->path, line, section, key, value, problem);
        if (option->kind == OPTION_NUMBER) {
            fprintf(reading->errors, " (%lld to %lld)", (long long)option->minimum, (long long)option->maximum);
        }
        fputc('\n', reading->errors);
        reading->problems++;
    }
    return 1;
}

/* Checks what one key alone cannot show; returns the number of problems. */
static int config_cross_check(const struct config *config, FILE *errors) {
    int problems = 0;
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    bool level_known = false;
    for (size_t i = 0; i < ADAPTER_COUNT_OF(levels); i++) {
        if (strcmp(config->hub_log_level, levels[i]) == 0) {
            log_level_set((enum log_level)i);
            level_known = true;
        }
    }
    if (!level_known) {
        fprintf(errors, "[hub] log_level = %s: must be error, warning, info or debug\n", config->hub_log_level);
        problems++;
    }
    if (config->hub_instance[0] == '\0' || strlen(config->hub_instance) > 40) {
        fprintf(errors, "[hub] instance: must have 1 to 40 characters\n");
        problems++;
    }
    char *copy = strdup(config->lane_counts);
    char *rest = copy;
    for (char *word; copy != NULL && (word = strsep(&rest, " ,")) != NULL;) {
        char name[64];
        int count = 0;
        char tail;
        if (*word == '\0') {
            continue;
        }
        bool known = false;
        if (sscanf(word, "%63[a-z_]=%d%c", name, &count, &tail) == 2 && count >= 1 && count <= 16) {
            for (size_t i = 0; i < adapter_count; i++) {
                known = known || strcmp(adapters[i]->key, name) == 0;
            }
        }
        if (!known) {
            fprintf(errors, "[lane] counts: `%s`: must be <subsystem>=<1 to 16>\n", word);
            problems++;
        }
    }
    free(copy);
    return problems;
}

int config_load(struct config *config, const char *path, FILE *errors) {
    static const char default_path[] = "/etc/cityhub/cityhub.ini";
    *config = (struct config){0};
    for (size_t i = 0; i < ADAPTER_COUNT_OF(options); i++) {
        if (option_set(config, &options[i], options[i].initial) != NULL) {
            return CH_EMEMORY;
        }
    }
    if (path == NULL) {
        path = getenv("CITYHUB_CONFIG");
    }
    if (path == NULL && access(default_path, R_OK) == 0) {
        path = default_path;
    }
    struct reading reading = {.config = config, .path = path, .errors = errors};
    if (path != NULL) {
        reading.file = fopen(path, "re");
        if (reading.file == NULL) {
            fprintf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
            return CH_EIO;
        }
        int line = ini_parse_stream(reading_line, &reading, reading_entry, &reading);
        fclose(reading.file);
        if (line != 0) {
            fprintf(errors, "%s:%d: is neither a [section], a key = value, nor a comment\n", path, line);
            reading.problems++;
        }
        config->path = strdup(path);
    }
    reading.problems += config_cross_check(config, errors);
    return reading.problems == 0 ? 0 : CH_EINVAL;
}

void config_free(struct config *config) {
    for (size_t i = 0; i < ADAPTER_COUNT_OF(options); i++) {
        if (options[i].kind == OPTION_TEXT) {
            char **field = (char **)(void *)((char *)config + options[i].offset);
            free(*field);
            *field = NULL;
        }
    }
    free(config->path);
    config->path = NULL;
}

void config_print(const struct config *config, FILE *out) {
    const char *section = "";
    for (size_t i = 0; i < ADAPTER_COUNT_OF(options); i++) {
        const struct option *option = &options[i];
        if (strcmp(section, option->section) != 0) {
            section = option->section;
            fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", section);
        }
        const void *field = (const char *)config + option->offset;
        fprintf(out, "; %s", option->meaning);
        if (option->kind == OPTION_NUMBER) {
            fprintf(out, " (%lld to %lld, default %s)\n%s = %lld\n", (long long)option->minimum,
                    (long long)option->maximum, option->initial, option->key, (long long)*(const int64_t *)field);
        } else {
            const char *value = *(char *const *)field;
            fprintf(out, " (default \"%s\")\n%s =%s%s\n", option->initial, option->key, *value == '\0' ? "" : " ",
                    value);
        }
    }
}

int config_lanes(const struct config *config, const char *subsystem) {
    size_t length = strlen(subsystem);
    for (const char *at = config->lane_counts; (at = strstr(at, subsystem)) != NULL; at += length) {
        bool starts = at == config->lane_counts || at[-1] == ' ' || at[-1] == ',';
        if (starts && at[length] == '=') {
            return atoi(at + length + 1); /* checked by config_cross_check */
        }
    }
    return 1;
}

char *config_secret(const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    if (file == NULL || getline(&line, &size, file) < 0) {
        log_error("secret_file", "file=%s reason=%s", log_quote(path), log_quote(strerror(errno)));
        free(line);
        line = NULL;
    } else {
        line[strcspn(line, "\r\n")] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    return line;
}
