/* state.c: the changed states of devices. Nearly always a device has sent one record between two writes, or records
 * with the same metrics: then an entry has these values, and one time for all of them. Only otherwise it has each
 * metric of its adapter with a time of its own. Does no I/O. */
#include "hub/know/state.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/copy.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/slab.h"

struct reading {
    double value;
    int64_t at_ms; /* 0 = none */
};

struct place {
    int64_t at_ms;
    double lon, lat;
};

/* What few have. */
struct more {
    uint64_t quality;      /* bit by bit of the reading that stands */
    struct place place;    /* at_ms INT64_MIN = none */
    struct reading *apart; /* of each metric of the adapter; NULL = all have the same time */
};

/* There are as many as devices that report within a round: 56 bytes and the values each. */
struct state_entry {
    struct state_entry *next;
    struct device *device;
    int64_t observed_at_ms, last_seen_ms;
    struct more *more; /* NULL = nothing */
    /* If the readings are not apart they are ... */
    int64_t at_ms;    /* ... of this time; 0 = none */
    uint64_t present; /* ... these, */
    double values[];  /* ... one behind the other */
};

struct states {
    struct slab slabs[ADAPTER_METRICS_MAX + 1]; /* of entries, by the number of values */
    struct state_entry *dirty;                  /* to be written in the next round */
    struct state_entry *round;                  /* to be written in this one */
    struct state_entry *written;                /* being written */
    const struct state_entry *sent;             /* of them, the next that is copied */
    struct copy_pieces pieces;                  /* the COPY */
    size_t count;                               /* in the first two */
    struct buffer noted;                        /* ids of batches of which all is noted, since the round began */
    struct buffer rounded;                      /* ... before it began */
    uint64_t position, position_rounded, position_written;
};

const char states_copy_columns[] =
    "(device_id, observed_at, last_seen_at, readings, reading_times, quality, geom, geom_at)";

struct states *states_new(void) {
    return calloc(1, sizeof(struct states));
}

static size_t value_count(uint64_t present) {
    return (size_t)__builtin_popcountll(present);
}

static void entry_free(struct states *states, struct state_entry *entry) {
    if (entry->device->state == entry) {
        entry->device->state = NULL;
    }
    if (entry->more != NULL) {
        free(entry->more->apart);
        free(entry->more);
    }
    slab_give(&states->slabs[value_count(entry->present)], entry);
}

static void entries_free(struct states *states, struct state_entry *entry) {
    while (entry != NULL) {
        struct state_entry *next = entry->next;
        entry_free(states, entry);
        entry = next;
    }
}

void states_free(struct states *states) {
    if (states != NULL) {
        entries_free(states, states->dirty);
        entries_free(states, states->round);
        entries_free(states, states->written);
        for (size_t i = 0; i < COUNT_OF(states->slabs); i++) {
            slab_free(&states->slabs[i]);
        }
        buffer_free(&states->noted);
        buffer_free(&states->rounded);
        free(states);
    }
}

static void push(struct state_entry **list, struct state_entry *entry) {
    entry->next = *list;
    *list = entry;
}

/* ---- one entry ---- */

static size_t metric_count(const struct state_entry *entry) {
    return entry->device->vendor->adapter->metric_count;
}

static size_t place_among(uint64_t present, uint64_t bit) {
    return value_count(present & (bit - 1));
}

/* NULL = they are not apart. */
static struct reading *apart_of(const struct state_entry *entry) {
    return entry->more == NULL ? NULL : entry->more->apart;
}

static uint64_t quality_of(const struct state_entry *entry) {
    return entry->more == NULL ? 0 : entry->more->quality;
}

/* NULL = none. */
static const struct place *place_of(const struct state_entry *entry) {
    return entry->more == NULL || entry->more->place.at_ms == INT64_MIN ? NULL : &entry->more->place;
}

/* Makes room for it. False = out of memory. */
static bool has_more(struct state_entry *entry) {
    if (entry->more == NULL && (entry->more = calloc(1, sizeof *entry->more)) != NULL) {
        entry->more->place.at_ms = INT64_MIN;
    }
    return entry->more != NULL;
}

static struct reading reading_of(const struct state_entry *entry, size_t i) {
    uint64_t bit = UINT64_C(1) << i;
    if (apart_of(entry) != NULL) {
        return apart_of(entry)[i];
    }
    return (entry->present & bit) == 0
               ? (struct reading){.at_ms = 0}
               : (struct reading){.value = entry->values[place_among(entry->present, bit)], .at_ms = entry->at_ms};
}

static bool move_apart(struct state_entry *entry) {
    size_t count = metric_count(entry);
    if (!has_more(entry) || entry->more->apart != NULL) {
        return entry->more != NULL;
    }
    struct reading *apart = calloc(count, sizeof *apart);
    for (size_t i = 0; apart != NULL && i < count; i++) {
        apart[i] = reading_of(entry, i);
    }
    entry->more->apart = apart;
    return apart != NULL;
}

/* A bit that is set needs room (has_more). */
static void quality_set(struct state_entry *entry, uint64_t bit, uint64_t quality) {
    if (entry->more != NULL) {
        entry->more->quality = (entry->more->quality & ~bit) | (quality & bit);
    }
}

/* False = out of memory: nothing was taken. */
static bool readings_take(struct state_entry *entry, const struct record *record) {
    int64_t at = record->observed_at_ms;
    if (record->quality != 0 && !has_more(entry)) {
        return false;
    }
    if (apart_of(entry) == NULL) {
        bool knows_all = (record->present & ~entry->present) == 0;
        if (record->present == 0 || (knows_all && at < entry->at_ms)) {
            return true;
        }
        if (record->present == entry->present || (knows_all && at == entry->at_ms)) {
            for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
                int i = __builtin_ctzll(rest);
                entry->values[place_among(entry->present, rest & -rest)] = record->values[i];
            }
            quality_set(entry, record->present, record->quality);
            entry->at_ms = at;
            return true;
        }
        if (!move_apart(entry)) {
            return false;
        }
    }
    for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (at >= entry->more->apart[i].at_ms) {
            entry->more->apart[i] = (struct reading){.value = record->values[i], .at_ms = at};
            quality_set(entry, rest & -rest, record->quality);
        }
    }
    return true;
}

static bool place_take(struct state_entry *entry, const struct record *record) {
    if (!has_more(entry)) {
        return false;
    }
    if (record->observed_at_ms >= entry->more->place.at_ms) {
        entry->more->place = (struct place){.at_ms = record->observed_at_ms, .lon = record->lon, .lat = record->lat};
    }
    return true;
}

static struct state_entry *entry_of(struct states *states, struct device *device, uint64_t present) {
    if (device->state == NULL) {
        size_t count = value_count(present);
        struct state_entry *entry = slab_take(&states->slabs[count], sizeof *entry + count * sizeof entry->values[0]);
        if (entry == NULL) {
            return NULL;
        }
        entry->device = device;
        entry->present = present;
        entry->observed_at_ms = INT64_MIN;
        device->state = entry;
        push(&states->dirty, entry);
        states->count++;
    }
    return device->state;
}

int states_note(struct states *states, struct device *device, const struct record *record, int64_t received_at_ms) {
    struct state_entry *entry = entry_of(states, device, record->present);
    if (entry == NULL) {
        return CH_EMEMORY;
    }
    int64_t at = record->observed_at_ms;
    entry->observed_at_ms = at > entry->observed_at_ms ? at : entry->observed_at_ms;
    entry->last_seen_ms = received_at_ms > entry->last_seen_ms ? received_at_ms : entry->last_seen_ms;
    bool taken = readings_take(entry, record);
    if (record->has_position && !record->outside) {
        taken = place_take(entry, record) && taken;
    }
    return taken ? 0 : CH_EMEMORY;
}

/* ---- all of them ---- */

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
    for (size_t i = 0; i < metric_count(entry); i++) {
        struct reading reading = reading_of(entry, i);
        if (reading.at_ms != 0) {
            record.observed_at_ms = reading.at_ms;
            record.present = UINT64_C(1) << i;
            record.quality = quality_of(entry) & record.present;
            record.values[i] = reading.value;
            note(user, entry->device, &record, entry->last_seen_ms);
        }
    }
    const struct place *where = place_of(entry);
    if (where != NULL) {
        struct record place = {
            .observed_at_ms = where->at_ms, .has_position = true, .lon = where->lon, .lat = where->lat};
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
    int64_t times[ADAPTER_METRICS_MAX];
    uint64_t present = 0;
    int given = 0;
    for (size_t i = 0; i < metric_count(entry); i++) {
        struct reading reading = reading_of(entry, i);
        times[i] = reading.at_ms;
        if (reading.at_ms != 0) {
            values[given++] = reading.value;
            present |= UINT64_C(1) << i;
        }
    }
    buffer_int16(copy, 8);
    copy_int4(copy, entry->device->id);
    copy_time(copy, entry->observed_at_ms * COPY_MILLISECOND);
    copy_time(copy, entry->last_seen_ms * COPY_MILLISECOND);
    copy_readings(copy, present, values);
    int count = present == 0 ? 0 : 64 - __builtin_clzll(present);
    copy_array(copy, OID_TIMESTAMPTZ, count, given < count, (size_t)count * 4 + (size_t)given * 8);
    for (int i = 0; i < count; i++) {
        if ((present >> i & 1) != 0) {
            copy_time(copy, times[i] * COPY_MILLISECOND);
        } else {
            copy_null(copy);
        }
    }
    if (quality_of(entry) != 0) {
        copy_int8(copy, (int64_t)quality_of(entry));
    } else {
        copy_null(copy);
    }
    const struct place *place = place_of(entry);
    if (place != NULL) {
        copy_point(copy, place->lon, place->lat);
        copy_time(copy, place->at_ms * COPY_MILLISECOND);
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

size_t states_set_aside(struct states *states, size_t limit) {
    size_t aside = 0;
    if (states->round == NULL && states->rounded.length == 0) {
        round_begin(states);
    }
    for (struct state_entry *entry; (entry = states->round) != NULL && aside < limit; aside++) {
        states->round = entry->next;
        if (entry->device->state == entry) {
            entry->device->state = NULL;
        }
        push(&states->written, entry);
        states->count--;
    }
    states->sent = states->written;
    copy_pieces_start(&states->pieces);
    return aside;
}

bool states_copy(struct states *states, struct buffer *copy) {
    if (!copy_pieces_next(&states->pieces, copy)) {
        return false;
    }
    while (states->sent != NULL && copy_pieces_room(&states->pieces, copy)) {
        copy_entry(states->sent, copy);
        states->sent = states->sent->next;
    }
    if (states->sent == NULL) {
        copy_pieces_end(&states->pieces, copy);
    }
    return true;
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

static void nothing_aside(struct states *states) {
    states->written = NULL;
    states->sent = NULL;
    states->pieces.sending = false;
}

void states_written(struct states *states) {
    entries_free(states, states->written);
    nothing_aside(states);
    if (states->round == NULL) {
        states->rounded.length = 0;
        states->position_written = states->position_rounded;
    }
}

/* What `older` has and `newer` has not. False = out of memory. */
static bool merge(struct state_entry *newer, struct state_entry *older) {
    bool knows_all = apart_of(newer) == NULL && apart_of(older) == NULL && (older->present & ~newer->present) == 0 &&
                     older->at_ms <= newer->at_ms;
    const struct place *place = place_of(older);
    if ((!knows_all && !move_apart(newer)) || (place != NULL && !has_more(newer))) {
        return false;
    }
    for (size_t i = 0; !knows_all && i < metric_count(older); i++) {
        struct reading reading = reading_of(older, i);
        if (reading.at_ms > newer->more->apart[i].at_ms) {
            newer->more->apart[i] = reading;
            quality_set(newer, UINT64_C(1) << i, quality_of(older));
        }
    }
    newer->observed_at_ms =
        older->observed_at_ms > newer->observed_at_ms ? older->observed_at_ms : newer->observed_at_ms;
    newer->last_seen_ms = older->last_seen_ms > newer->last_seen_ms ? older->last_seen_ms : newer->last_seen_ms;
    if (place != NULL && place->at_ms > newer->more->place.at_ms) {
        newer->more->place = *place;
    }
    return true;
}

/* Entries that a newer one of the same device has not taken in, to the front of `list`. */
static void move_back(struct states *states, struct state_entry *entry, struct state_entry **list) {
    for (struct state_entry *next; entry != NULL; entry = next) {
        next = entry->next;
        if (entry->device->state == NULL) {
            entry->device->state = entry;
        }
        push(list, entry);
        states->count++;
    }
}

void states_unwritten(struct states *states) {
    struct state_entry *entry = states->written, *back = NULL;
    bool lacking = false;
    for (struct state_entry *next; entry != NULL; entry = next) {
        next = entry->next;
        struct state_entry *newer = entry->device->state;
        bool merged = newer != NULL && merge(newer, entry);
        lacking = lacking || (newer != NULL && !merged);
        if (merged) {
            entry_free(states, entry);
        } else {
            push(&back, entry);
        }
    }
    nothing_aside(states);
    if (lacking) {
        move_back(states, back, &states->round); /* it goes on with them, and then come the newer ones */
        return;
    }
    move_back(states, back, &states->dirty);
    for (entry = states->round; entry != NULL; entry = states->round) {
        states->round = entry->next;
        push(&states->dirty, entry);
    }
    /* The round is over, and its batches are of the next one. Without memory they are of none: the next start catches
     * up with them. */
    states_batches(states, states->rounded.data, states->rounded.length);
    states->rounded.length = 0;
}
