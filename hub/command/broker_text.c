/* broker_text.c: see broker_text.h. A vendor publishes the kinds of its own subsystems and reads its own receipts. Must
 * never leave a line that gives a vendor more than the database does. */
#include "hub/command/broker_text.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/topic.h"

static const char marker[] = "# Written by `cityhub vendor` from the rights in its database: what vendors may do. "
                             "Changes here are lost.";

bool broker_hash_is_mosquitto(const char *hash) {
    return strncmp(hash, "$7$", 3) == 0;
}

/* Where the line after this one begins; a line ends with \n or with the text. */
static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return *line == '\n' ? line + 1 : line;
}

static void copy_line(const char *line, FILE *to) {
    fprintf(to, "%.*s\n", (int)strcspn(line, "\n"), line);
}

static bool column_has(const PGresult *rows, int column, const char *text, size_t length) {
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *value = PQgetvalue(rows, row, column);
        if (strlen(value) == length && strncmp(value, text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- mosquitto's password file: NAME:HASH ---- */

int broker_text_passwords(const struct broker_facts *facts, const char *old, FILE *to) {
    for (const char *line = old; *line != '\0'; line = next_line(line)) {
        if (!column_has(facts->logins, 0, line, strcspn(line, ":\r\n"))) {
            copy_line(line, to);
        }
    }
    for (int row = 0; row < PQntuples(facts->logins); row++) {
        if (!PQgetisnull(facts->logins, row, 1) && broker_hash_is_mosquitto(PQgetvalue(facts->logins, row, 1))) {
            fprintf(to, "%s:%s\n", PQgetvalue(facts->logins, row, 0), PQgetvalue(facts->logins, row, 1));
        }
    }
    return 0;
}

/* ---- devices' tokens: IDENTITY:HASH ---- */

int broker_text_tokens(const struct broker_facts *facts, const char *old, FILE *to) {
    (void)old;
    for (int row = 0; row < PQntuples(facts->tokens); row++) {
        fprintf(to, "%s:%s\n", PQgetvalue(facts->tokens, row, 0), PQgetvalue(facts->tokens, row, 1));
    }
    return 0;
}

/* ---- mosquitto's ACL file: `user NAME`, then `topic ACCESS FILTER`; `pattern ACCESS FILTER` is for all users ---- */

/* The `number`th word of a line, from 0; its length, 0 = there is none. */
static const char *word_of(const char *line, int number, size_t *length) {
    line += strspn(line, " \t");
    while (number-- > 0) {
        line += strcspn(line, " \t\r\n");
        line += strspn(line, " \t");
    }
    *length = strcspn(line, " \t\r\n");
    return line;
}

static bool word_is(const char *line, int number, const char *word) {
    size_t length;
    const char *found = word_of(line, number, &length);
    return length == strlen(word) && strncmp(found, word, length) == 0;
}

/* Whether a line `topic` or `pattern` may say something of our topics. */
static bool line_says_ours(const char *line) {
    size_t length, level;
    bool access = word_is(line, 1, "read") || word_is(line, 1, "write") || word_is(line, 1, "readwrite") ||
                  word_is(line, 1, "deny");
    const char *filter = word_of(line, access ? 2 : 1, &length);
    level = strcspn(filter, "/ \t\r\n");
    return level == 0 || strcspn(filter, "+#%") < level || strncmp(filter, TOPIC_PREFIX, level + 1) == 0;
}

/* Copies what is not vendors'; blank lines at the end go. */
static void copy_others(const struct broker_facts *facts, const char *old, FILE *to) {
    bool of_vendor = false;
    int blank = 0;
    for (const char *line = old; *line != '\0'; line = next_line(line)) {
        size_t length;
        if (word_is(line, 0, "user")) {
            const char *name = word_of(line, 1, &length);
            of_vendor = column_has(facts->rights, BROKER_RIGHT_VENDOR, name, length);
        }
        bool ours = strncmp(line, marker, strlen(marker)) == 0 || (word_is(line, 0, "user") && of_vendor) ||
                    (word_is(line, 0, "topic") && of_vendor) || (word_is(line, 0, "pattern") && line_says_ours(line));
        if (ours) {
            continue;
        }
        word_of(line, 0, &length);
        if (length == 0) {
            blank++;
            continue;
        }
        for (; blank > 0; blank--) {
            fputc('\n', to);
        }
        copy_line(line, to);
    }
}

int broker_text_access(const struct broker_facts *facts, const char *old, FILE *to) {
    const char *section = "";
    copy_others(facts, old, to);
    fprintf(to, "\n%s\n", marker);
    for (int row = 0; row < PQntuples(facts->rights); row++) {
        const char *vendor = PQgetvalue(facts->rights, row, BROKER_RIGHT_VENDOR);
        const char *subsystem = PQgetvalue(facts->rights, row, BROKER_RIGHT_SUBSYSTEM);
        if (*PQgetvalue(facts->rights, row, BROKER_RIGHT_VALID) != 't') {
            continue;
        }
        if (strcmp(section, vendor) != 0) {
            section = vendor;
            fprintf(to, "user %s\ntopic read " TOPIC_FORMAT "\n", vendor, "+", vendor, topic_words[TOPIC_RECEIPT]);
        }
        for (int kind = 0; kind < TOPIC_KINDS_IN; kind++) {
            fprintf(to, "topic write " TOPIC_FORMAT "\n", subsystem, vendor, topic_words[kind]);
        }
    }
    return 0;
}

/* ---- RabbitMQ's definitions ---- */

enum { EXPRESSION_MAX = 2048 };

/* Regular expressions of what a vendor may do; "^$" fits nothing. Names of vendors and subsystems have no sign with a
 * meaning of its own. The topics of MQTT are RabbitMQ's routing keys, with dots for slashes and * for +. */
struct expressions {
    char own[EXPRESSION_MAX], own_or_exchange[EXPRESSION_MAX], write[EXPRESSION_MAX], read[EXPRESSION_MAX];
};

/* The prefix of the topics as an expression for routing keys. */
static void prefix_expression(char *text, size_t size) {
    size_t at = 0;
    for (const char *c = TOPIC_PREFIX; *c != '\0' && at + 3 < size; c++) {
        if (*c == '/') {
            text[at++] = '\\';
        }
        text[at++] = (char)(*c == '/' ? '.' : *c);
    }
    text[at] = '\0';
}

static void add_text(char *text, const char *more) {
    size_t length = strlen(text);
    snprintf(text + length, EXPRESSION_MAX - length, "%s", more);
}

static void expressions_set(struct expressions *made, const struct broker_facts *facts, const char *vendor) {
    char prefix[64];
    const char *between = "^";
    prefix_expression(prefix, sizeof prefix);
    *made = (struct expressions){"^$", "^$", "^$", "^$"};
    for (int row = 0; row < PQntuples(facts->rights); row++) {
        if (strcmp(PQgetvalue(facts->rights, row, BROKER_RIGHT_VENDOR), vendor) != 0 ||
            *PQgetvalue(facts->rights, row, BROKER_RIGHT_VALID) != 't') {
            continue;
        }
        if (*between == '^') {
            snprintf(made->own, EXPRESSION_MAX, "^mqtt-subscription-%s([.-][A-Za-z0-9_.-]{1,64})?qos[01]$", vendor);
            snprintf(made->own_or_exchange, EXPRESSION_MAX,
                     "^(amq\\.topic|mqtt-subscription-%s([.-][A-Za-z0-9_.-]{1,64})?qos[01])$", vendor);
            snprintf(made->read, EXPRESSION_MAX, "^%s[a-z_*]+\\.%s\\.%s$", prefix, vendor, topic_words[TOPIC_RECEIPT]);
            snprintf(made->write, EXPRESSION_MAX, "^%s(", prefix);
            between = "";
        }
        add_text(made->write, between);
        add_text(made->write, PQgetvalue(facts->rights, row, BROKER_RIGHT_SUBSYSTEM));
        between = "|";
    }
    if (*between != '^') {
        add_text(made->write, ")\\.");
        add_text(made->write, vendor);
        for (int kind = 0; kind < TOPIC_KINDS_IN; kind++) {
            add_text(made->write, kind == 0 ? "\\.(" : "|");
            add_text(made->write, topic_words[kind]);
        }
        add_text(made->write, ")$");
    }
}

/* An object of the list, one a line, so that files can be compared. */
static int write_object(FILE *to, bool first, const char *const pairs[][2], size_t count) {
    cJSON *object = cJSON_CreateObject();
    bool whole = object != NULL;
    for (size_t i = 0; i < count; i++) {
        whole = cJSON_AddStringToObject(object, pairs[i][0], pairs[i][1]) != NULL && whole;
    }
    char *text = whole ? cJSON_PrintUnformatted(object) : NULL;
    whole = text != NULL && fprintf(to, "%s%s\n", first ? "" : ",", text) > 0;
    free(text);
    cJSON_Delete(object);
    return whole ? 0 : CH_EMEMORY;
}

/* A login's entry in one of the lists. */
typedef int write_login(FILE *to, bool first, const char *vendor, const char *hash, const struct expressions *made);

static int write_user(FILE *to, bool first, const char *vendor, const char *hash, const struct expressions *made) {
    (void)made;
    const char *const pairs[][2] = {{"name", vendor},
                                    {"password_hash", broker_hash_is_mosquitto(hash) ? "" : hash},
                                    {"hashing_algorithm", "rabbit_password_hashing_sha256"},
                                    {"tags", ""}};
    return write_object(to, first, pairs, COUNT_OF(pairs));
}

static int write_permission(FILE *to, bool first, const char *vendor, const char *hash,
                            const struct expressions *made) {
    (void)hash;
    const char *const pairs[][2] = {{"user", vendor},
                                    {"vhost", "/"},
                                    {"configure", made->own},
                                    {"write", made->own_or_exchange},
                                    {"read", made->own_or_exchange}};
    return write_object(to, first, pairs, COUNT_OF(pairs));
}

static int write_topic_permission(FILE *to, bool first, const char *vendor, const char *hash,
                                  const struct expressions *made) {
    (void)hash;
    const char *const pairs[][2] = {
        {"user", vendor}, {"vhost", "/"}, {"exchange", "amq.topic"}, {"write", made->write}, {"read", made->read}};
    return write_object(to, first, pairs, COUNT_OF(pairs));
}

int broker_text_definitions(const struct broker_facts *facts, const char *old, FILE *to) {
    static const struct {
        const char *name;
        write_login *write;
    } lists[] = {
        {"users", write_user}, {"permissions", write_permission}, {"topic_permissions", write_topic_permission}};
    int code = 0;
    (void)old;
    for (size_t i = 0; i < COUNT_OF(lists) && code == 0; i++) {
        fprintf(to, "%s\"%s\": [\n", i == 0 ? "{" : "],\n", lists[i].name);
        for (int row = 0; row < PQntuples(facts->logins) && code == 0; row++) {
            struct expressions made;
            const char *vendor = PQgetvalue(facts->logins, row, 0);
            expressions_set(&made, facts, vendor);
            code = lists[i].write(to, row == 0, vendor, PQgetvalue(facts->logins, row, 1), &made); /* "" = ended */
        }
    }
    fputs("]}\n", to);
    return code;
}
