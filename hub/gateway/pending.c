/* pending.c: devices that are refused. Must never grow beyond its bound, whoever knocks. */
#include "hub/gateway/pending.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/gateway/figures.h"
#include "hub/gateway/terminal.h"

struct caller {
    char protocol[16], identity[TERMINAL_IDENTITY_MAX], reason[24], address[INET6_ADDRSTRLEN];
    int64_t first_ms, last_ms;
    uint64_t count;
    size_t frame_count;
    unsigned char frames[PENDING_FRAMES][PENDING_FRAME_BYTES];
    size_t lengths[PENDING_FRAMES];
    bool changed;
};

struct pending {
    struct caller *callers[PENDING_MAX];
    size_t count;
};

struct pending *pending_new(void) {
    return calloc(1, sizeof(struct pending));
}

void pending_free(struct pending *pending) {
    for (size_t i = 0; pending != NULL && i < pending->count; i++) {
        free(pending->callers[i]);
    }
    free(pending);
}

size_t pending_count(const struct pending *pending) {
    return pending->count;
}

static void remove_at(struct pending *pending, size_t at) {
    free(pending->callers[at]);
    pending->callers[at] = pending->callers[--pending->count];
    figures.pending = (int64_t)pending->count;
}

static struct caller *caller_of(struct pending *pending, const char *protocol, const char *identity) {
    size_t oldest = 0;
    for (size_t i = 0; i < pending->count; i++) {
        if (strcmp(pending->callers[i]->identity, identity) == 0 &&
            strcmp(pending->callers[i]->protocol, protocol) == 0) {
            return pending->callers[i];
        }
        oldest = pending->callers[i]->last_ms < pending->callers[oldest]->last_ms ? i : oldest;
    }
    if (pending->count == PENDING_MAX) {
        remove_at(pending, oldest);
    }
    struct caller *caller = calloc(1, sizeof *caller);
    if (caller != NULL) {
        snprintf(caller->protocol, sizeof caller->protocol, "%s", protocol);
        snprintf(caller->identity, sizeof caller->identity, "%s", identity);
        pending->callers[pending->count++] = caller;
        figures.pending = (int64_t)pending->count;
    }
    return caller;
}

void pending_note(struct pending *pending, const struct refused *refused, int64_t now_ms) {
    struct caller *caller = caller_of(pending, refused->protocol, refused->identity);
    if (caller == NULL) {
        return;
    }
    caller->first_ms = caller->count == 0 ? now_ms : caller->first_ms;
    caller->last_ms = now_ms;
    caller->count++;
    caller->changed = true;
    snprintf(caller->reason, sizeof caller->reason, "%s", refused->reason);
    snprintf(caller->address, sizeof caller->address, "%s", refused->address);
    if (refused->frame != NULL && caller->frame_count < PENDING_FRAMES) {
        size_t kept = refused->length < PENDING_FRAME_BYTES ? refused->length : PENDING_FRAME_BYTES;
        memcpy(caller->frames[caller->frame_count], refused->frame, kept);
        caller->lengths[caller->frame_count++] = kept;
    }
}

static void report_one(cJSON *list, const struct caller *caller) {
    char hex[2 * PENDING_FRAME_BYTES + 1];
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "protocol", caller->protocol);
    cJSON_AddStringToObject(entry, "identity", caller->identity);
    cJSON_AddStringToObject(entry, "reason", caller->reason);
    cJSON_AddStringToObject(entry, "address", caller->address);
    cJSON_AddNumberToObject(entry, "first_ms", (double)caller->first_ms);
    cJSON_AddNumberToObject(entry, "last_ms", (double)caller->last_ms);
    cJSON_AddNumberToObject(entry, "frames", (double)caller->count);
    cJSON *samples = cJSON_AddArrayToObject(entry, "samples");
    for (size_t i = 0; i < caller->frame_count; i++) {
        sodium_bin2hex(hex, sizeof hex, caller->frames[i], caller->lengths[i]);
        cJSON_AddItemToArray(samples, cJSON_CreateString(hex));
    }
    cJSON_AddItemToArray(list, entry);
}

cJSON *pending_report(struct pending *pending, size_t most, bool all) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < pending->count; i++) {
        struct caller *caller = pending->callers[i];
        caller->changed = caller->changed || all;
        if (caller->changed && most > 0) {
            report_one(list, caller);
            caller->changed = false;
            most--;
        }
    }
    return list;
}

void pending_settle(struct pending *pending, const struct terminals *terminals) {
    for (size_t i = pending->count; i > 0; i--) {
        const struct caller *caller = pending->callers[i - 1];
        if (terminals_find(terminals, caller->protocol, caller->identity) != NULL) {
            remove_at(pending, i - 1);
        }
    }
}
