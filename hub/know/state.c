/* state.c: the changed states of devices. An entry is as long as the device's adapter has metrics. Does no I/O. */
#include "hub/know/state.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/copy.h"
#include "hub/base/count.h"
#include "hub/base/error.h"

struct reading {
    double value;
    int64_t at_ms; /* 0 = none */
};

struct state_entry {
    struct state_entry *next;
    struct device *device;
    int64_t observed_at_ms, last_seen_ms, placed_at_ms; /* placed_at_ms 0 = no place */
    double lon, lat;
    uint64_t quality; /* bit by bit of the reading that stands */
    size_t count;
    struct reading readings[];
};

struct states {
    struct state_entry *dirty;   /* to be written in the next round */
    struct state_entry *round;   /* to be written in this one */
    struct state_entry *written; /* being written */
    size_t count;                /* in the first two */
    struct buffer noted;         /* ids of batches of which all is noted, since the round began */
    struct buffer rounded;       /* ... before it began */
    uint64_t position, position_rounded, position_written;
};

const char states_copy_columns[] =
    "(device_id, observed_at, last_seen_at, readings, reading_times, quality, geom, geom_at)";

struct states *states_new(void) {
    return calloc(1, sizeof(struct states));
}

static void entries_free(struct state_entry *entry) {
    while (entry != NULL) {
        struct state_entry *next = entry->next;
        if (entry->device->state == entry) {
            entry->device->state = NULL;
        }
        free(entry);
        entry = next;
    }
}

void states_free(struct states *states) {
    if (states != NULL) {
        entries_free(states->dirty);
        entries_free(states->round);
        entries_free(states->written);
        buffer_free(&states->noted);
        buffer_free(&states->rounded);
        free(states);
    }
}

static void push(struct state_entry **list, struct state_entry *entry) {
    entry->next = *list;
    *list = entry;
}

static struct state_entry *entry_of(struct states *states, struct device *device) {
    if (device->state == NULL) {
        size_t count = device->vendor->adapter->metric_count;
        struct state_entry *entry = calloc(1, sizeof *entry + count * sizeof entry->readings[0]);
        if (entry == NULL) {
            return NULL;
        }
        entry->device = device;
        entry->count = count;
        entry->observed_at_ms = INT64_MIN;
        device->state = entry;
        push(&states->dirty, entry);
        states->count++;
    }
    return device->state;
}

int states_note(struct states *states, struct device *device, const struct record *record, int64_t received_at_ms) {
    struct state_entry *entry = entry_of(states, device);
    if (entry == NULL) {
        return CH_EMEMORY;
    }
    int64_t at = record->observed_at_ms;
    entry->observed_at_ms = at > entry->observed_at_ms ? at : entry->observed_at_ms;
    entry->last_seen_ms = received_at_ms > entry->last_seen_ms ? received_at_ms : entry->last_seen_ms;
    for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (at >= entry->readings[i].at_ms) {
            entry->readings[i] = (struct reading){.value = record->values[i], .at_ms = at};
            entry->quality = (entry->quality & ~(UINT64_C(1) << i)) | (record->quality & UINT64_C(1) << i);
        }
    }
    if (record->has_position && !record->outside && at >= entry->placed_at_ms) {
        entry->lon = record->lon;
        entry->lat = record->lat;
        entry->placed_at_ms = at;
    }
    return 0;
}

void states_position(struct states *states, uint64_t position) {
    states->position = position;
}

uint64_t states_position_written(const struct states *states) {
    return states_due(states) || states->written != NULL ? states->position_written : states->position;
}

static void entry_each(const struct state_entry *entry,
                       void (*note)(void *user, struct device *device, const struct record *record,
                                    int64_t received_at_ms),
                       void *user) {
    struct record record = {.observed_at_ms = entry->observed_at_ms};
    note(user, entry->device, &record, entry->last_seen_ms);
    for (size_t i = 0; i < entry->count; i++) {
        if (entry->readings[i].at_ms != 0) {
            record.observed_at_ms = entry->readings[i].at_ms;
            record.present = UINT64_C(1) << i;
            record.quality = entry->quality & record.present;
            record.values[i] = entry->readings[i].value;
            note(user, entry->device, &record, entry->last_seen_ms);
        }
    }
    if (entry->placed_at_ms != 0) {
        struct record place = {
            .observed_at_ms = entry->placed_at_ms, .has_position = true, .lon = entry->lon, .lat = entry->lat};
        note(user, entry->device, &place, entry->last_seen_ms);
    }
}

void states_each(const struct states *states,
                 void (*note)(void *user, struct device *device, const struct record *record, int64_t received_at_ms),
                 void *user) {
    const struct state_entry *const lists[] = {states->written, states->round, states->dirty};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (const struct state_entry *entry = lists[i]; entry != NULL; entry = entry->next) {
            entry_each(entry, note, user);
        }
    }
}

size_t states_dirty(const struct states *states) {
    return states->count;
}

bool states_due(const struct states *states) {
    return states->count + states->noted.length + states->rounded.length > 0;
}

static void copy_entry(const struct state_entry *entry, struct buffer *copy) {
    double values[ADAPTER_METRICS_MAX];
    uint64_t present = 0;
    for (size_t i = 0; i < entry->count; i++) {
        values[i] = entry->readings[i].value;
        present |= entry->readings[i].at_ms != 0 ? UINT64_C(1) << i : 0;
    }
    buffer_int16(copy, 8);
    copy_int4(copy, entry->device->id);
    copy_time(copy, entry->observed_at_ms * COPY_MILLISECOND);
    copy_time(copy, entry->last_seen_ms * COPY_MILLISECOND);
    copy_readings(copy, present, values);
    int count = present == 0 ? 0 : 64 - __builtin_clzll(present);
    int given = __builtin_popcountll(present);
    copy_array(copy, OID_TIMESTAMPTZ, count, given < count, (size_t)count * 4 + (size_t)given * 8);
    for (int i = 0; i < count; i++) {
        if ((present >> i & 1) != 0) {
            copy_time(copy, entry->readings[i].at_ms * COPY_MILLISECOND);
        } else {
            copy_null(copy);
        }
    }
    if (entry->quality != 0) {
        copy_int8(copy, (int64_t)entry->quality);
    } else {
        copy_null(copy);
    }
    if (entry->placed_at_ms != 0) {
        copy_point(copy, entry->lon, entry->lat);
        copy_time(copy, entry->placed_at_ms * COPY_MILLISECOND);
    } else {
        copy_null(copy);
        copy_null(copy);
    }
}

int states_batches(struct states *states, const char *ids, size_t length) {
    size_t before = states->noted.length;
    buffer_bytes(&states->noted, ids, length);
    if (states->noted.failed) {
        states->noted.failed = false;
        states->noted.length = before;
        return CH_EMEMORY;
    }
    return 0;
}

/* What was changed and noted up to now is what this round is of. */
static void round_begin(struct states *states) {
    struct buffer empty = states->rounded;
    states->round = states->dirty;
    states->dirty = NULL;
    states->rounded = states->noted;
    states->position_rounded = states->position;
    states->noted = empty;
    states->noted.length = 0;
}

size_t states_copy(struct states *states, size_t limit, struct buffer *copy) {
    size_t copied = 0;
    copy_header(copy);
    if (states->round == NULL && states->rounded.length == 0) {
        round_begin(states);
    }
    for (struct state_entry *entry; (entry = states->round) != NULL && copied < limit; copied++) {
        copy_entry(entry, copy);
        states->round = entry->next;
        entry->device->state = NULL;
        push(&states->written, entry);
        states->count--;
    }
    copy_trailer(copy);
    return copied;
}

void states_copy_batches(const struct states *states, struct buffer *out) {
    buffer_text(out, "'{");
    for (size_t at = 0; states->round == NULL && at + STATES_ID_BYTES <= states->rounded.length;
         at += STATES_ID_BYTES) {
        buffer_text(out, at > 0 ? "," : "");
        buffer_text(out, states->rounded.data + at);
    }
    buffer_text(out, "}'");
}

void states_written(struct states *states) {
    entries_free(states->written);
    states->written = NULL;
    if (states->round == NULL) {
        states->rounded.length = 0;
        states->position_written = states->position_rounded;
    }
}

/* What `older` has and `newer` has not. */
static void merge(struct state_entry *newer, const struct state_entry *older) {
    for (size_t i = 0; i < older->count; i++) {
        if (older->readings[i].at_ms > newer->readings[i].at_ms) {
            newer->readings[i] = older->readings[i];
            newer->quality = (newer->quality & ~(UINT64_C(1) << i)) | (older->quality & UINT64_C(1) << i);
        }
    }
    newer->observed_at_ms =
        older->observed_at_ms > newer->observed_at_ms ? older->observed_at_ms : newer->observed_at_ms;
    newer->last_seen_ms = older->last_seen_ms > newer->last_seen_ms ? older->last_seen_ms : newer->last_seen_ms;
    if (older->placed_at_ms > newer->placed_at_ms) {
        newer->placed_at_ms = older->placed_at_ms;
        newer->lon = older->lon;
        newer->lat = older->lat;
    }
}

void states_unwritten(struct states *states) {
    struct state_entry *const lists[] = {states->written, states->round};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (struct state_entry *entry = lists[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            if (i == 0 && entry->device->state != NULL) {
                merge(entry->device->state, entry);
                free(entry);
                continue;
            }
            states->count += i == 0;
            entry->device->state = entry;
            push(&states->dirty, entry);
        }
    }
    states->written = states->round = NULL;
    /* The round is over, and its batches are of the next one. Without memory they are of none: the next start catches
     * up with them. */
    states_batches(states, states->rounded.data, states->rounded.length);
    states->rounded.length = 0;
}
