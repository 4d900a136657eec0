/* prepared.c: see prepared.h. Must never say of a statement that it is prepared under another one's name. */
#include "hub/link/prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What uthash does when memory is out would end the program. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { HELD_KEEP = 64 * 1024 };

struct prepared_statement {
    UT_hash_handle hh;
    char name[PREPARED_NAME];
    char sql[];
};

bool prepared_find(const struct prepared_statement *all, const char *sql, char name[PREPARED_NAME]) {
    struct prepared_statement *found = NULL;
    HASH_FIND_STR(all, sql, found);
    if (found != NULL) {
        memcpy(name, found->name, PREPARED_NAME);
    }
    return found != NULL;
}

bool prepared_name(const struct prepared_statement *all, char name[PREPARED_NAME]) {
    if (HASH_COUNT(all) >= PREPARED_MAX) {
        return false;
    }
    snprintf(name, PREPARED_NAME, "kept_%u", HASH_COUNT(all));
    return true;
}

bool prepared_add(struct prepared_statement **all, const char *sql, const char *name) {
    size_t size = strlen(sql) + 1;
    struct prepared_statement *added = calloc(1, sizeof *added + size);
    if (added == NULL) {
        return false;
    }
    memcpy(added->sql, sql, size);
    snprintf(added->name, sizeof added->name, "%s", name);
    unsigned before = HASH_COUNT(*all);
    HASH_ADD_KEYPTR(hh, *all, added->sql, size - 1, added);
    if (HASH_COUNT(*all) == before) {
        free(added);
        return false;
    }
    return true;
}

void prepared_clear(struct prepared_statement **all) {
    struct prepared_statement *statement = *all;
    HASH_CLEAR(hh, *all);
    while (statement != NULL) {
        struct prepared_statement *next = statement->hh.next;
        free(statement);
        statement = next;
    }
}

bool prepared_hold(struct buffer *held, struct postgres_value values[POSTGRES_VALUES_MAX], struct postgres_job *job) {
    buffer_reset(held, HELD_KEEP);
    buffer_bytes(held, job->sql, strlen(job->sql) + 1);
    for (size_t i = 0; i < job->value_count; i++) {
        buffer_bytes(held, job->values[i].data, job->values[i].data == NULL ? 0 : job->values[i].length);
        buffer_bytes(held, "", 1);
    }
    if (held->failed) {
        return false;
    }
    const char *at = held->data + strlen(job->sql) + 1;
    for (size_t i = 0; i < job->value_count; i++) {
        values[i] = job->values[i];
        if (values[i].data != NULL) {
            values[i].data = at;
            at += values[i].length;
        }
        at++;
    }
    job->sql = held->data;
    job->values = values;
    return true;
}
