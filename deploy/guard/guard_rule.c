/* guard_rule.c: see guard_rule.h. Must never allow what it cannot read. */
#include "deploy/guard/guard_rule.h"

#include <ctype.h>
#include <string.h>

#include "hub/base/topic.h"

/* What follows `head` in `text`, NULL = it does not begin so. */
static const char *after(const char *text, const char *head) {
    size_t length = strlen(head);
    return text != NULL && strncmp(text, head, length) == 0 ? text + length : NULL;
}

/* mosquitto's own: auto_id_prefix, then a UUID. */
static bool is_made_by_broker(const char *id) {
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const char *uuid = after(id, "auto-");
    size_t at = 0;
    while (uuid != NULL && form[at] != '\0' && uuid[at] != '\0' &&
           (form[at] == '-' ? uuid[at] == '-' : isxdigit((unsigned char)uuid[at]) != 0)) {
        at++;
    }
    return uuid != NULL && form[at] == '\0' && uuid[at] == '\0';
}

bool guard_id_fits(const char *id, const char *login) {
    const char *rest = after(id, login);
    if (rest == NULL || *login == '\0' || strlen(id) > GUARD_ID_MAX) {
        return is_made_by_broker(id);
    }
    return *rest == '\0' || ((*rest == '-' || *rest == '.') && rest[1] != '\0') || is_made_by_broker(id);
}

static bool is(struct topic_level level, const char *text) {
    return level.length == strlen(text) && strncmp(level.text, text, level.length) == 0;
}

bool guard_filter_fits(const char *filter, const char *login) {
    struct topic topic;
    if (filter == NULL || !topic_split(filter, &topic) || topic.subsystem.length == 0) {
        return false;
    }
    bool literal = memchr(topic.subsystem.text, '+', topic.subsystem.length) == NULL &&
                   memchr(topic.subsystem.text, '#', topic.subsystem.length) == NULL;
    return (literal || is(topic.subsystem, "+")) && is(topic.vendor, login) &&
           is(topic.kind, topic_words[TOPIC_RECEIPT]);
}

bool guard_listed(const char *list, const char *login) {
    size_t length = strlen(login);
    for (const char *word = list; *word != '\0'; word += strcspn(word, " ")) {
        word += strspn(word, " ");
        if (length > 0 && strcspn(word, " ") == length && strncmp(word, login, length) == 0) {
            return true;
        }
    }
    return false;
}

bool guard_budget_take(struct guard_budget *budget, const struct guard_rates *rates, size_t bytes, double now_s) {
    double of_message_s = 1 / rates->messages_per_s;
    double of_bytes_s = (double)bytes / rates->bytes_per_s;
    double cost_s = of_bytes_s > of_message_s ? of_bytes_s : of_message_s;
    double spent_s = budget->spent_s - (now_s - budget->at_s);
    /* A message that is larger than all of the budget goes when nothing of it is spent. */
    if (spent_s > 0 && spent_s + cost_s > GUARD_BURST_S) {
        return false;
    }
    budget->spent_s = (spent_s > 0 ? spent_s : 0) + cost_s;
    budget->at_s = now_s;
    return true;
}
