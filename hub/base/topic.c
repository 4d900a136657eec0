/* topic.c: see topic.h. Must never judge a subsystem or a vendor. */
#include "hub/base/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"

const char *const topic_words[TOPIC_NONE] = {
    [TOPIC_TELEMETRY] = "telemetry", [TOPIC_INVENTORY] = "inventory", [TOPIC_STAFF] = "staff",
    [TOPIC_WORK] = "work",           [TOPIC_CASE] = "case",           [TOPIC_INTERVAL] = "interval",
    [TOPIC_RECEIPT] = "receipt",
};

enum topic_kind topic_kind(const char *word) {
    enum topic_kind kind = TOPIC_TELEMETRY;
    while (kind < TOPIC_NONE && strcmp(topic_words[kind], word) != 0) {
        kind++;
    }
    return kind;
}

/* The level that begins at `text`; the next one begins after its slash, if there is one. */
static struct topic_level level(const char *text) {
    return (struct topic_level){text, strcspn(text, "/")};
}

static const char *after(struct topic_level level) {
    return level.text[level.length] == '/' ? level.text + level.length + 1 : NULL;
}

bool topic_split(const char *text, struct topic *topic) {
    if (strncmp(text, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) != 0) {
        return false;
    }
    struct topic_level *const levels[] = {&topic->subsystem, &topic->vendor, &topic->kind};
    const char *next = text + strlen(TOPIC_PREFIX);
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (next == NULL) {
            return false;
        }
        *levels[i] = level(next);
        next = after(*levels[i]);
    }
    return next == NULL;
}

char *topic_put_first_received(const char *text, const char *received_ms) {
    struct topic topic;
    if (!topic_split(text, &topic)) {
        return strdup(text);
    }
    int head = (int)(topic.vendor.text + topic.vendor.length - text);
    char *marked = NULL;
    return asprintf(&marked, "%.*s@%s%s", head, text, received_ms, text + head) < 0 ? NULL : marked;
}

int64_t topic_cut_first_received(char *text) {
    struct topic topic;
    char *mark = topic_split(text, &topic) ? strchr(text, '@') : NULL;
    size_t digits = mark == NULL ? 0 : strspn(mark + 1, "0123456789");
    if (digits == 0 || digits > 18 || mark + 1 + digits != topic.vendor.text + topic.vendor.length) {
        return 0;
    }
    int64_t first_received_ms = strtoll(mark + 1, NULL, 10);
    memmove(mark, mark + 1 + digits, strlen(mark + 1 + digits) + 1);
    return first_received_ms;
}
