/* config.c: the configuration as one typed table: section, key, kind, range, default, meaning.
 * What is not in the table is refused, so that a mistyped key never passes silently. */
#include "hub/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "hub/adapter.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/text.h"

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
    TEXT(mqtt, protocol, "5", "version of MQTT: 5 (mosquitto), or 3.1.1 (RabbitMQ)"),
    TEXT(mqtt, username, "", "the hub's login at the broker; empty = anonymous"),
    TEXT(mqtt, password_file, "", "file with the password of the login, on its first line"),
    TEXT(mqtt, tls_ca_file, "", "file with the certificate authority; set = connect with TLS"),
    NUMBER(mqtt, keepalive_s, 5, 600, "60", "seconds between signs of life"),
    NUMBER(mqtt, session_expiry_s, 60, 4294967295, "4294967295",
           "seconds the broker keeps messages while the hub is away; the largest value = for ever"),
    NUMBER(mqtt, receive_maximum, 10, 65535, "20000",
           "unacknowledged messages a lane may hold; broker's max_inflight_messages must not be smaller"),
    TEXT(mqtt, vendor_password_file, "",
         "mosquitto's password file, written by `cityhub vendor`; empty = logins are kept elsewhere"),
    TEXT(mqtt, vendor_acl_file, "", "mosquitto's ACL file, written by `cityhub vendor`: what each vendor may publish"),
    TEXT(mqtt, vendor_definitions_file, "",
         "RabbitMQ's definitions of vendors' logins, written by `cityhub vendor`, instead of the two above"),
    TEXT(
        mqtt, device_token_file, "",
        "mosquitto's plugin's file of devices' tokens, written by `cityhub terminal`; empty = no device has one there"),
    TEXT(mqtt, vendor_reload_command, "", "shell command that makes the broker read these files again"),
    NUMBER(lane, batch_records, 1, 100000, "5000", "records in a batch at the most (a message is never divided)"),
    NUMBER(lane, batch_age_ms, 1, 10000, "50",
           "milliseconds after its first message when a batch is stored at the latest; at once while little comes"),
    NUMBER(lane, max_payload_bytes, 1024, 268435455, "4194304",
           "bytes of a message; a larger one goes to quarantine unread"),
    NUMBER(lane, unknown_devices, 0, 1000000, "10000",
           "devices of a vendor in a subsystem that no inventory has named yet; records of more go to quarantine"),
    NUMBER(lane, new_days, 0, 36500, "31",
           "days older than a week that a vendor in a subsystem may bring the first data of, in a day (UTC)"),
    TEXT(lane, counts, "", "lanes of subsystems that need more than one, e.g. dust=3 gas=2"),
    NUMBER(time, max_ahead_s, 0, 86400, "300", "seconds a record may be ahead of the hub's clock"),
    NUMBER(retention, observation_days, 1, 36500, "730",
           "days that observations and track points are kept; older records are refused"),
    NUMBER(retention, partitions_ahead_days, 1, 60, "7", "days for which partitions are made ahead"),
    NUMBER(retention, pack_after_days, 0, 36500, "7",
           "days after which a day's records are packed to a tenth of their size, two at the least; 0 = never"),
    NUMBER(retention, quarantine_days, 1, 36500, "365", "days that quarantined messages are kept"),
    NUMBER(retention, outbox_days, 1, 3650, "30", "days that sent receipts are kept"),
    NUMBER(quarantine, daily_mib, 1, 1048576, "1024",
           "MiB that a vendor may bring into quarantine in a day (UTC); what is beyond is only counted"),
    TEXT(http, listen, "127.0.0.1", "address the hub's HTTP server binds to"),
    NUMBER(http, port, 0, 65535, "8080", "its port; 0 = any free one (written to the log)"),
    NUMBER(http, connections, 10, 10000, "256", "connections it holds at a time; more wait until one ends"),
    NUMBER(http, address_connections, 1, 10000, "128",
           "of these, those that one address may hold; the next gets 429. One of proxies has no such bound"),
    NUMBER(http, streams, 1, 10000, "1000",
           "live streams at a time, and not more than three quarters of its connections; the next gets 503"),
    NUMBER(
        http, stream_mb_s, 1, 10000, "16",
        "million bytes a second to all live streams together: when more changes, they are told less often, every 5 s at the least"),
    NUMBER(http, timeout_s, 1, 600, "30",
           "seconds without traffic, or without a whole head, after which it closes a connection"),
    NUMBER(http, deadline_s, 1, 600, "10",
           "seconds from a request's head to its answer's last byte, the query included; some routes have more"),
    NUMBER(http, stall_s, 1, 600, "5", "seconds after which a streaming answer that its client does not read is cut"),
    NUMBER(http, queries, 1, 32, "4", "connections to the database that answer requests; one more cancels queries"),
    NUMBER(http, address_queries, 1, 32, "3", "of these, those that one address may have at a time; its others wait"),
    NUMBER(http, queue, 1, 4096, "256", "requests that may wait for one of them; the next gets 503"),
    TEXT(http, page, CITYHUB_DATA_DIR "/web", "folder of the page's files, as web/ builds them; read at the start"),
    TEXT(http, origins, "",
         "where browsers find the hub's pages, e.g. https://map.example.cn, several with blanks; empty = localhost"),
    TEXT(http, proxies, "",
         "addresses of proxies whose X-Forwarded-For, -Host and -Proto are believed, with blanks between them"),
    TEXT(
        http, cors, "",
        "other systems' pages that may use the hub with a token (CORS), as origins, several with blanks; empty = none"),
    TEXT(http, attachments, "", "folder that keeps photographs, documents and videos of cases; empty = none are taken"),
    NUMBER(http, attachment_mib, 1, 1024, "200", "MiB of one of them at the most"),
    NUMBER(http, attachment_sweep_s, 1, 604800, "14400",
           "seconds in which the folder is looked through once for those that nothing has referred to for a day"),
    TEXT(http, basemaps, "", "file of the base maps that the page may show (docs/basemap.md); empty = a grid alone"),
    TEXT(http, basemap_cache, "", "folder that keeps their pictures, of its own; empty = none are kept"),
    NUMBER(http, basemap_cache_mib, 1, 1048576, "1024",
           "MiB of them; those go first that nobody has wanted for longest"),
    NUMBER(http, basemap_cache_days, 1, 3650, "30",
           "days after which one is fetched anew; it stays while its source is away"),
    TEXT(gateway, listen, "0.0.0.0", "address that `cityhub gateway` takes devices' connections on"),
    NUMBER(gateway, hj212_port, 0, 65535, "0", "port for HJ 212 (dust, emissions, water); 0 = none"),
    NUMBER(gateway, jt808_port, 0, 65535, "0", "port for JT/T 808 (vehicles); 0 = none"),
    NUMBER(gateway, connections, 10, 100000, "20000", "devices' connections at a time; the next is closed at once"),
    NUMBER(gateway, address_connections, 1, 100000, "5000",
           "of these, those of one address: behind a carrier's there are many devices"),
    NUMBER(gateway, history_s, 0, 86400, "60",
           "seconds after which a monitor of HJ 212 that has come is asked for what is missing of it; 0 = never"),
    NUMBER(gateway, first_frame_s, 1, 600, "30", "seconds until a connection's first good frame, else it is closed"),
    NUMBER(gateway, idle_s, 10, 86400, "900",
           "seconds without a good frame after which it is closed; more than two reporting intervals"),
    NUMBER(gateway, receipt_s, 1, 50, "15",
           "seconds to wait for the hub's receipt; without it a device is not acknowledged, and a push gets 503"),
    TEXT(gateway, unknown, "pending",
         "devices that are not in the list: pending = remembered with their first frames for `cityhub terminal adopt`; "
         "refuse = only counted"),
    TEXT(
        gateway, foreign_topics, "",
        "vendors' own topics that mappings read, SOURCE=TOPIC with blanks between (SOURCE: a terminal of protocol json); "
        "the word devices = devices that log in at the broker by a token"),
    TEXT(gateway, state_dir, "/var/lib/cityhub-gateway",
         "folder of the gateway's own, where it keeps its last list of terminals"),
    NUMBER(jobs, device_state_s, 1, 3600, "2", "seconds between writes of changed device states"),
    NUMBER(jobs, rollup_s, 1, 86400, "60", "seconds between hourly rollups"),
    NUMBER(jobs, offline_s, 1, 3600, "15", "seconds between looks for silent devices and vendors"),
};

static const struct option *option_find(const char *section, const char *key) {
    for (size_t i = 0; i < COUNT_OF(options); i++) {
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
    int lines[COUNT_OF(options)]; /* where each option was last set; 0 = not in the file */
    FILE *errors;
    int problems;
};

/* Begins the report of a problem in `line`; the caller writes the rest of the line. */
static void reading_problem(struct reading *reading, int line) {
    fprintf(reading->errors, "%s:%d: ", reading->path, line);
    reading->problems++;
}

/* Reads up to the line's end, at most `size` - 1 bytes of it, into `line`; false at the end of the file. */
static bool reading_bytes(struct reading *reading, char *line, int size) {
    int byte, length = 0;
    bool too_long = false, has_nul = false;
    while ((byte = fgetc(reading->file)) != EOF && byte != '\n') {
        has_nul = has_nul || byte == '\0';
        too_long = too_long || length == size - 2;
        if (!too_long) {
            line[length++] = (char)byte;
        }
    }
    if (byte == EOF && length == 0) {
        return false;
    }
    line[length] = '\0';
    reading->line++;
    if (too_long) {
        reading_problem(reading, reading->line);
        fprintf(reading->errors, "is longer than %d bytes\n", size - 2);
    } else if (has_nul) {
        reading_problem(reading, reading->line);
        fprintf(reading->errors, "has a NUL byte\n");
    }
    return true;
}

/* Whether inih will find a section or a key in the line, or nothing to read. It takes ; after a blank for a comment. */
static bool line_fits(const char *line) {
    size_t length = strlen(line);
    if (strchr("#;", line[0]) != NULL) { /* the empty line too */
        return true;
    }
    for (size_t i = length; i > 1; i--) {
        length = line[i - 1] == ';' && isspace((unsigned char)line[i - 2]) ? i - 1 : length;
    }
    return line[0] == '[' ? memchr(line, ']', length) != NULL
                          : memchr(line, '=', length) != NULL || memchr(line, ':', length) != NULL;
}

/* Debian's inih does not tell its handler the line number: count the lines as it reads them. It would also cut a long
 * line silently, take an indented line for more of the value before it, and tell only the first line without a form. */
static char *reading_line(char *line, int size, void *user) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct reading *reading = user;
    if (!reading_bytes(reading, line, size)) {
        return NULL;
    }
    size_t indent = reading->line == 1 && strncmp(line, byte_order_mark, 3) == 0 ? 3 : 0;
    indent += strspn(line + indent, " \t\r\v\f");
    memmove(line, line + indent, strlen(line) - indent + 1);
    if (!line_fits(line)) {
        reading_problem(reading, reading->line);
        fprintf(reading->errors, "is neither a [section], a key = value, nor a comment\n");
        line[0] = '\0';
    }
    return line;
}

static int reading_entry(void *user, const char *section, const char *key, const char *value) {
    struct reading *reading = user;
    int line = reading->line;
    const struct option *option = option_find(section, key);
    if (option == NULL) {
        reading_problem(reading, line);
        fprintf(reading->errors, "[%s] %s: no such key; `cityhub check-config --print` lists them all\n", section, key);
        return 1;
    }
    reading->lines[option - options] = line;
    const char *problem = option_set(reading->config, option, value);
    if (problem != NULL) {
        reading_problem(reading, line);
        fprintf(reading->errors, "[%s] %s = %s: %s", section, key, value, problem);
        if (option->kind == OPTION_NUMBER) {
            fprintf(reading->errors, " (%lld to %lld)", (long long)option->minimum, (long long)option->maximum);
        }
        fputc('\n', reading->errors);
    }
    return 1;
}

/* Begins the report of an option's problem, with the line that set it. */
static void option_problem(struct reading *reading, const char *section, const char *key) {
    reading_problem(reading, reading->lines[option_find(section, key) - options]);
    fprintf(reading->errors, "[%s] %s", section, key);
}

static void check_log_level(struct reading *reading) {
    enum log_level level;
    if (!log_level_named(reading->config->hub_log_level, &level)) {
        option_problem(reading, "hub", "log_level");
        fprintf(reading->errors, " = %s: must be error, warning, info or debug\n", reading->config->hub_log_level);
    }
}

/* One word of [lane] counts; NULL or what is wrong with it. `seen` has a flag for each adapter. */
static const char *lane_count_flaw(const char *word, bool *seen) {
    const char *equals = strchr(word, '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - word);
    const char *digits = equals == NULL ? "" : equals + 1;
    size_t count = strspn(digits, "0123456789");
    if (count < 1 || count > 2 || digits[count] != '\0' || atoi(digits) < 1 || atoi(digits) > 16) {
        return "must be <subsystem>=<1 to 16>";
    }
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)length, word);
    const struct adapter *adapter = length < sizeof key ? adapter_find(key) : NULL;
    if (adapter == NULL) {
        return "must be <subsystem>=<1 to 16>, and there is no such subsystem";
    }
    const char *flaw = seen[adapter_index(adapter)] ? "comes twice" : NULL;
    seen[adapter_index(adapter)] = true;
    return flaw;
}

static void check_lane_counts(struct reading *reading) {
    bool *seen = calloc(adapter_count, sizeof *seen);
    char *copy = strdup(reading->config->lane_counts), *rest = copy;
    if (seen == NULL || copy == NULL) {
        option_problem(reading, "lane", "counts");
        fprintf(reading->errors, ": out of memory\n");
        rest = NULL;
    }
    for (char *word; (word = strsep(&rest, " ,")) != NULL;) {
        const char *flaw = *word == '\0' ? NULL : lane_count_flaw(word, seen);
        if (flaw != NULL) {
            option_problem(reading, "lane", "counts");
            fprintf(reading->errors, ": `%s`: %s\n", word, flaw);
        }
    }
    free(copy);
    free(seen);
}

/* The two brokers differ in what they can. Several lanes of a subsystem share a subscription, which MQTT 3.1.1 does not
 * know: each would get every message. */
static void check_broker(struct reading *reading) {
    const struct config *config = reading->config;
    if (strcmp(config->mqtt_protocol, "5") != 0 && strcmp(config->mqtt_protocol, "3.1.1") != 0) {
        option_problem(reading, "mqtt", "protocol");
        fprintf(reading->errors, " = %s: must be 5 or 3.1.1\n", config->mqtt_protocol);
        return;
    }
    if (config->mqtt_vendor_definitions_file[0] != '\0' &&
        (config->mqtt_vendor_password_file[0] != '\0' || config->mqtt_vendor_acl_file[0] != '\0' ||
         config->mqtt_device_token_file[0] != '\0')) {
        option_problem(reading, "mqtt", "vendor_definitions_file");
        fprintf(reading->errors,
                ": is RabbitMQ's; vendor_password_file, vendor_acl_file and device_token_file are mosquitto's\n");
    }
    for (size_t i = 0; config->mqtt_protocol[0] == '3' && i < adapter_count; i++) {
        if (config_lanes(config, adapters[i]->key) > 1) {
            option_problem(reading, "lane", "counts");
            fprintf(reading->errors, ": more than one lane (%s) needs [mqtt] protocol = 5\n", adapters[i]->key);
        }
    }
}

static void check_gateway(struct reading *reading) {
    const struct config *config = reading->config;
    if (strcmp(config->gateway_unknown, "pending") != 0 && strcmp(config->gateway_unknown, "refuse") != 0) {
        option_problem(reading, "gateway", "unknown");
        fprintf(reading->errors, " = %s: must be pending or refuse\n", config->gateway_unknown);
    }
}

/* scheme://host[:port], as browsers write it: without anything behind it. */
static bool is_origin(const char *word, size_t length) {
    size_t scheme = strncasecmp(word, "http://", 7) == 0 ? 7 : strncasecmp(word, "https://", 8) == 0 ? 8 : 0;
    bool whole = scheme > 0 && length > scheme;
    for (size_t i = scheme; i < length; i++) {
        whole = whole && (isalnum((unsigned char)word[i]) || strchr(".-_:[]", word[i]) != NULL);
    }
    return whole;
}

/* One that no browser would write is never met: those that it was meant for would be refused, and nobody knew why. */
static void check_origins(struct reading *reading, const char *key, const char *origins) {
    size_t length;
    for (const char *word; (word = text_word(&origins, &length)) != NULL;) {
        if (!is_origin(word, length)) {
            option_problem(reading, "http", key);
            fprintf(reading->errors, ": `%.*s`: must be http(s)://host[:port], with nothing behind it\n", (int)length,
                    word);
        }
    }
}

/* Checks what one value alone cannot show. */
static void config_cross_check(struct reading *reading) {
    const struct config *config = reading->config;
    check_log_level(reading);
    check_lane_counts(reading);
    check_broker(reading);
    check_gateway(reading);
    check_origins(reading, "origins", config->http_origins);
    check_origins(reading, "cors", config->http_cors);
    if (config->hub_instance[0] == '\0' || strlen(config->hub_instance) > 40) {
        option_problem(reading, "hub", "instance");
        fprintf(reading->errors, ": must have 1 to 40 bytes\n");
    }
}

int config_load(struct config *config, const char *path, FILE *errors) {
    static const char default_path[] = "/etc/cityhub/cityhub.ini";
    *config = (struct config){0};
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (option_set(config, &options[i], options[i].initial) != NULL) {
            fputs("configuration: out of memory\n", errors);
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
        ini_parse_stream(reading_line, &reading, reading_entry, &reading);
        bool unread = ferror(reading.file) != 0;
        int reason = errno;
        fclose(reading.file);
        if (unread) {
            fprintf(errors, "%s: cannot be read: %s\n", path, strerror(reason));
            return CH_EIO;
        }
        config->path = strdup(path);
        if (config->path == NULL) {
            fprintf(errors, "%s: out of memory\n", path);
            return CH_EMEMORY;
        }
    }
    config_cross_check(&reading);
    return reading.problems == 0 ? 0 : CH_EINVAL;
}

void config_free(struct config *config) {
    for (size_t i = 0; i < COUNT_OF(options); i++) {
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
    for (size_t i = 0; i < COUNT_OF(options); i++) {
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
            /* After a blank, ; would begin a comment. */
            const char *blank = *value == '\0' || *value == ';' ? "" : " ";
            fprintf(out, " (default \"%s\")\n%s =%s%s\n", option->initial, option->key, blank, value);
        }
    }
}

int config_connections(const struct config *config) {
    enum { OTHERS = 7 }; /* loader, states, jobs, outbox, points, http-cancel, http-login */
    return (int)(config->database_writers + config->http_queries) + OTHERS;
}

int64_t config_streams(const struct config *config) {
    int64_t room = config->http_connections * 3 / 4;
    return config->http_streams < room ? config->http_streams : room;
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
        const char *reason = file != NULL && feof(file) ? "the file is empty" : strerror(errno);
        log_error("secret_file", "file=%s reason=%s", log_quote(path), log_quote(reason));
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
