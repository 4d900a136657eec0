/* throttle.c: tries by key, in a hash table whose order is that of the last try. Must never grow beyond its bound. */
#include "hub/http/throttle.h"

#include <stdlib.h>
#include <string.h>

/* What uthash does when memory is out would end the program. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { KEY_MAX = 80, FIRST_DELAY_MS = 1000 };

struct entry {
    char key[KEY_MAX];
    unsigned tries;
    uint64_t tried_ms, blocked_until_ms;
    UT_hash_handle hh;
};

struct throttle {
    struct throttle_rule rule;
    struct entry *entries; /* uthash keeps the order in which they were added: oldest first */
};

struct throttle *throttle_new(const struct throttle_rule *rule) {
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle != NULL) {
        throttle->rule = *rule;
    }
    return throttle;
}

static void entry_remove(struct throttle *throttle, struct entry *entry) {
    HASH_DEL(throttle->entries, entry);
    free(entry);
}

void throttle_free(struct throttle *throttle) {
    if (throttle == NULL) {
        return;
    }
    while (throttle->entries != NULL) {
        entry_remove(throttle, throttle->entries);
    }
    free(throttle);
}

static struct entry *entry_find(const struct throttle *throttle, const char *key) {
    struct entry *entry = NULL;
    HASH_FIND_STR(throttle->entries, key, entry);
    return entry;
}

uint64_t throttle_wait(const struct throttle *throttle, const char *key, uint64_t now_ms) {
    const struct entry *entry = entry_find(throttle, key);
    return entry == NULL || entry->blocked_until_ms <= now_ms ? 0 : entry->blocked_until_ms - now_ms;
}

static uint64_t delay_ms(const struct throttle_rule *rule, unsigned tries) {
    uint64_t delay = FIRST_DELAY_MS;
    if (tries <= rule->free_tries) {
        return 0;
    }
    for (unsigned i = rule->free_tries + 1; i < tries && delay < rule->longest_ms; i++) {
        delay *= 2;
    }
    return delay < rule->longest_ms ? delay : rule->longest_ms;
}

void throttle_count(struct throttle *throttle, const char *key, uint64_t now_ms) {
    struct entry *entry = entry_find(throttle, key);
    if (entry != NULL) {
        HASH_DEL(throttle->entries, entry); /* and goes to the end again */
        if (now_ms - entry->tried_ms >= throttle->rule.forgotten_ms) {
            entry->tries = 0;
        }
    } else if (strlen(key) < KEY_MAX && (entry = calloc(1, sizeof *entry)) != NULL) {
        memcpy(entry->key, key, strlen(key));
        if (HASH_COUNT(throttle->entries) >= throttle->rule.keys_max) {
            entry_remove(throttle, throttle->entries);
        }
    } else {
        return;
    }
    entry->tries++;
    entry->tried_ms = now_ms;
    entry->blocked_until_ms = now_ms + delay_ms(&throttle->rule, entry->tries);
    memset(&entry->hh, 0, sizeof entry->hh);
    HASH_ADD_STR(throttle->entries, key, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
    }
}

void throttle_uncount(struct throttle *throttle, const char *key) {
    struct entry *entry = entry_find(throttle, key);
    if (entry != NULL && entry->tries > 0) {
        entry->tries--;
        entry->blocked_until_ms = 0;
    }
}

void throttle_forget(struct throttle *throttle, const char *key) {
    struct entry *entry = entry_find(throttle, key);
    if (entry != NULL) {
        entry_remove(throttle, entry);
    }
}
