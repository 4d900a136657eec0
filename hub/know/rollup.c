/* rollup.c: the sums of device-hours. Must never count a batch that it does not name, nor name one that it has not
 * counted whole: a batch is marked as rolled up with the very transaction that adds these rows. Does no I/O. */
#include "hub/know/rollup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/arena.h"
#include "hub/base/copy.h"
#include "hub/base/count.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"
#include "hub/base/table.h"

enum {
    HOUR_MS = 3600000,
    /* Of device-hours that wait: then they are written at once. Where an hour of each device has room it is written
     * once a run; with less room a flood of all devices has nearly each record written as an hour of its own. */
    DEVICES_MAX = 100000,
    BYTES_LEAST = 3 * 1024 * 1024, /* of so many devices and more */
    BYTES_MORE = 700,              /* for each device fewer: an hour of eight metrics */
    BYTES_MOST = 36 * 1024 * 1024,
    BYTES_BESIDE = 9 * 1024 * 1024, /* of those that come while they are written */
    IDS_MAX = 1024 * 1024,          /* bytes of batches' ids, of either sort: 28,000 batches */
};

/* A sum in units of 2^-52, as onemap.exact_whole() and exact_part() have it: 2^51 units of 1 from each of 2^22 records
 * of an hour are 2^125. */
__extension__ typedef __int128 units;
static const double units_of_1 = 4503599627370496.0;  /* 2^52 */
static const double reading_max = 2251799813685248.0; /* 2^51 */

struct figures {
    double low, high, first, last;
    uint64_t sum[2];            /* a `units`, which needs no more alignment than this */
    uint32_t first_ms, last_ms; /* since the beginning of the hour */
    double least;               /* of `within` */
    uint32_t count, above, below;
    uint32_t within; /* of `above`: within the metric's range, beyond the instrument's as the sender says */
};

struct key {
    const struct device *device;
    int64_t hour; /* since the UTC epoch */
};

/* Most device-hours get one record between two runs: it stays as it is until a second one comes. */
struct alone {
    uint64_t present, quality;
    double values[]; /* of `present`, one behind the other */
};

struct entry {
    struct key key;
    struct entry *next; /* that came after it */
    uint32_t records, last_ms;
    uint32_t size;       /* of `figures`: up to the highest ordinal that has come */
    struct alone *alone; /* NULL = there are figures */
    struct figures *figures;
};

/* What one run writes. */
struct hours {
    struct table table; /* by key */
    struct arena arena; /* all of them */
    struct entry *first, *last;
};

struct rollups {
    struct hours counted_hours, sent_hours;
    struct entry *sent_next; /* the first that was not copied; NULL = the trailer, or nothing */
    struct copy_pieces pieces;
    size_t bytes;          /* of what is counted, at most: if of each device-hour a second record came */
    size_t full;           /* bytes that are written at once */
    struct buffer counted; /* ids of batches that `counted_hours` are of */
    struct buffer others;  /* ids of batches that the database is to read */
    bool all_others;       /* ... or all that wait, whatever their ids */
    bool lost;             /* a record of the batch at hand had no room */
    struct buffer sent_counted, sent_others; /* of what is being written */
    bool sent_all;
};

const char rollups_copy_columns[] = "(device_id, hour, records, last_at, counts, minima, maxima, sums, rests, firsts,"
                                    " lasts, first_ms, last_ms, flagged_above, flagged_below, above_least)";

struct rollups *rollups_new(void) {
    struct rollups *rollups = calloc(1, sizeof *rollups);
    if (rollups != NULL) {
        rollups->all_others = true; /* what an earlier run has left */
        rollups->full = BYTES_MOST;
    }
    return rollups;
}

static void hours_free(struct hours *hours) {
    table_free(&hours->table);
    arena_free(&hours->arena);
    *hours = (struct hours){.first = NULL};
}

static void counted_free(struct rollups *rollups) {
    hours_free(&rollups->counted_hours);
    rollups->bytes = 0;
}

void rollups_free(struct rollups *rollups) {
    if (rollups != NULL) {
        counted_free(rollups);
        hours_free(&rollups->sent_hours);
        buffer_free(&rollups->counted);
        buffer_free(&rollups->others);
        buffer_free(&rollups->sent_counted);
        buffer_free(&rollups->sent_others);
        free(rollups);
    }
}

/* The ids are the database's to read now; if they are too many, it reads all that wait. */
static void leave(struct rollups *rollups, const char *ids, size_t length) {
    buffer_bytes(&rollups->others, ids, length);
    if (rollups->others.failed || rollups->others.length > IDS_MAX) {
        rollups->others.length = 0;
        rollups->others.failed = false;
        rollups->all_others = true;
    }
}

static void give_up(struct rollups *rollups, const char *why) {
    log_warning("rollup_given_up", "bytes=%zu batches=%zu reason=%s", rollups->bytes,
                rollups->counted.length / ROLLUPS_ID_BYTES, log_quote(why));
    counted_free(rollups);
    leave(rollups, rollups->counted.data, rollups->counted.length);
    rollups->counted.length = 0;
    rollups->counted.failed = false;
}

static uint32_t hash_of(const struct key *key) {
    return hash_number(hash_number(HASH_FIRST, (uintptr_t)key->device), (uint64_t)key->hour);
}

static bool has_key(const void *entry, const void *key) {
    const struct key *one = &((const struct entry *)entry)->key, *other = key;
    return one->device == other->device && one->hour == other->hour;
}

static struct entry *entry_add(struct rollups *rollups, const struct key *key) {
    struct hours *hours = &rollups->counted_hours;
    struct entry *entry = arena_take(&hours->arena, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->key = *key;
    if (table_add(&hours->table, hash_of(key), entry) != 0) {
        return NULL;
    }
    if (hours->last == NULL) {
        hours->first = entry;
    } else {
        hours->last->next = entry;
    }
    hours->last = entry;
    rollups->bytes += sizeof *entry;
    return entry;
}

static bool entry_grow(struct rollups *rollups, struct entry *entry, uint32_t size) {
    if (size <= entry->size && entry->figures != NULL) {
        return true;
    }
    uint32_t before = entry->figures == NULL ? 0 : entry->size;
    size = size > entry->size ? size : entry->size;
    struct figures *figures = arena_take(&rollups->counted_hours.arena, (size_t)size * sizeof *figures);
    if (figures == NULL) {
        return false;
    }
    if (before > 0) {
        memcpy(figures, entry->figures, before * sizeof *figures);
    }
    rollups->bytes += (size - entry->size) * sizeof *figures;
    entry->figures = figures;
    entry->size = size;
    return true;
}

/* ---- one reading ---- */

static units sum_of(const struct figures *figures) {
    units sum;
    memcpy(&sum, figures->sum, sizeof sum);
    return sum;
}

static units units_of(double value) {
    if (fabs(value) < reading_max) { /* as all are: without a call of the library */
        int64_t whole = (int64_t)value;
        double part = (value - (double)whole) * units_of_1; /* of what is not below 1 a whole number already */
        return (units)whole * (units)units_of_1 + (int64_t)(whole == 0 ? rint(part) : part);
    }
    double bounded = fmax(fmin(value, reading_max), -reading_max);
    double part = rint((value - trunc(value)) * units_of_1);
    return (units)(int64_t)trunc(bounded) * (units)units_of_1 + (units)(int64_t)part;
}

static void take(struct figures *figures, double value, uint32_t at_ms) {
    units sum = sum_of(figures) + units_of(value);
    memcpy(figures->sum, &sum, sizeof sum);
    bool none = figures->count == 0;
    figures->low = none || value < figures->low ? value : figures->low;
    figures->high = none || value > figures->high ? value : figures->high;
    if (none || at_ms < figures->first_ms) {
        figures->first = value;
        figures->first_ms = at_ms;
    }
    if (none || at_ms > figures->last_ms) {
        figures->last = value;
        figures->last_ms = at_ms;
    }
    figures->count++;
}

/* One reading of a record into the metric's figures. */
static void take_reading(struct figures *figures, const struct metric *metric, double value, bool flagged,
                         uint32_t at_ms) {
    if (!flagged) {
        take(figures, value + 0.0, at_ms); /* 0 of -0: neither is smaller */
    } else {
        bool within = value >= metric->min && value <= metric->max;
        figures->least = within && (figures->within == 0 || value < figures->least) ? value + 0.0 : figures->least;
        figures->within += within;
        figures->above += value >= metric->min;
        figures->below += value < metric->min;
    }
}

static void note(struct entry *entry, const struct record *record, uint32_t at_ms) {
    const struct metric *metrics = entry->key.device->vendor->adapter->metrics;
    entry->last_ms = entry->records == 0 || at_ms > entry->last_ms ? at_ms : entry->last_ms;
    entry->records++;
    for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        take_reading(&entry->figures[i], &metrics[i], record->values[i], (record->quality >> i & 1) != 0, at_ms);
    }
}

/* The figures of the one record. */
static void alone_take(const struct entry *entry, struct figures *figures) {
    const struct metric *metrics = entry->key.device->vendor->adapter->metrics;
    const double *value = entry->alone->values;
    for (uint64_t rest = entry->alone->present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        take_reading(&figures[i], &metrics[i], *value++, (entry->alone->quality >> i & 1) != 0, entry->last_ms);
    }
}

/* The first record of a device-hour. */
static bool note_alone(struct rollups *rollups, struct entry *entry, const struct record *record, uint32_t at_ms,
                       uint32_t size) {
    size_t count = (size_t)__builtin_popcountll(record->present);
    struct alone *alone = arena_take(&rollups->counted_hours.arena, sizeof *alone + count * sizeof alone->values[0]);
    if (alone == NULL) {
        return false;
    }
    double *value = alone->values;
    alone->present = record->present;
    alone->quality = record->quality;
    for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
        *value++ = record->values[__builtin_ctzll(rest)];
    }
    entry->alone = alone;
    entry->size = size;
    entry->records = 1;
    entry->last_ms = at_ms;
    rollups->bytes += size * sizeof(struct figures);
    return true;
}

static bool entry_note(struct rollups *rollups, struct entry *entry, const struct record *record, uint32_t at_ms) {
    uint32_t size = record->present == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(record->present);
    if (entry->records == 0) {
        return note_alone(rollups, entry, record, at_ms, size);
    }
    if (!entry_grow(rollups, entry, size)) {
        return false;
    }
    if (entry->alone != NULL) {
        alone_take(entry, entry->figures);
        entry->alone = NULL;
    }
    note(entry, record, at_ms);
    return true;
}

void rollups_note(struct rollups *rollups, const struct device *device, const struct record *record) {
    int64_t at = record->observed_at_ms;
    struct key key = {.device = device, .hour = at / HOUR_MS - (at % HOUR_MS < 0)};
    if (rollups->lost) {
        return;
    }
    struct entry *entry = table_find(&rollups->counted_hours.table, hash_of(&key), has_key, &key);
    entry = entry != NULL ? entry : rollups->bytes < rollups->full + BYTES_BESIDE ? entry_add(rollups, &key) : NULL;
    if (entry == NULL || !entry_note(rollups, entry, record, (uint32_t)(at - key.hour * HOUR_MS))) {
        rollups->lost = true;
        give_up(rollups, "no room: what was counted is read from the database");
    }
}

void rollups_batch(struct rollups *rollups, const char *ids, size_t length) {
    bool lost = rollups->lost;
    rollups->lost = false;
    if (length == 0) {
        give_up(rollups, "a batch has no name: all that waits is read from the database");
        rollups->all_others = true;
        return;
    }
    if (lost) {
        leave(rollups, ids, length);
        return;
    }
    buffer_bytes(&rollups->counted, ids, length);
    if (rollups->counted.failed) {
        give_up(rollups, "out of memory");
        leave(rollups, ids, length);
    }
}

size_t rollups_bytes(const struct rollups *rollups) {
    return rollups->bytes;
}

bool rollups_full(const struct rollups *rollups) {
    return rollups->bytes > rollups->full || rollups->counted.length > IDS_MAX;
}

void rollups_room(struct rollups *rollups, size_t devices) {
    size_t full = BYTES_LEAST + (devices < DEVICES_MAX ? (DEVICES_MAX - devices) * BYTES_MORE : 0);
    rollups->full = full < BYTES_MOST ? full : BYTES_MOST;
}

size_t rollups_kept(size_t metrics) {
    size_t bytes = sizeof(struct entry) + metrics * sizeof(struct figures);
    size_t most = BYTES_MOST / bytes,
           shrinking = (BYTES_LEAST + (size_t)DEVICES_MAX * BYTES_MORE) / (bytes + BYTES_MORE);
    return most < shrinking ? most : shrinking;
}

/* ---- what is written ---- */

static void copy_integers(struct buffer *copy, uint32_t count, int32_t (*of)(const struct figures *),
                          const struct figures *figures) {
    copy_array(copy, OID_INT4, (int)count, false, (size_t)count * 8);
    for (uint32_t i = 0; i < count; i++) {
        copy_int4(copy, of(&figures[i]));
    }
}

static int32_t count_of(const struct figures *figures) {
    return (int32_t)figures->count;
}

static int32_t above_of(const struct figures *figures) {
    return (int32_t)figures->above;
}

static int32_t below_of(const struct figures *figures) {
    return (int32_t)figures->below;
}

static double low_of(const struct figures *figures) {
    return figures->low;
}

static double high_of(const struct figures *figures) {
    return figures->high;
}

static double first_of(const struct figures *figures) {
    return figures->first;
}

static double last_of(const struct figures *figures) {
    return figures->last;
}

static double total_of(const struct figures *figures) {
    return (double)sum_of(figures) / units_of_1; /* rounded once, by the conversion */
}

/* What the rounding has lost, as onemap.exact_rest() has it. */
static double rest_of(const struct figures *figures) {
    double total = total_of(figures);
    return fabs(total) >= reading_max ? 0 : (double)(sum_of(figures) - units_of(total)) / units_of_1;
}

/* NULL where there is no good reading. */
static void copy_doubles(struct buffer *copy, const struct entry *entry, const struct figures *figures, size_t good,
                         double (*of)(const struct figures *)) {
    copy_array(copy, OID_FLOAT8, (int)entry->size, good < entry->size, (size_t)entry->size * 4 + good * 8);
    for (uint32_t i = 0; i < entry->size; i++) {
        if (figures[i].count > 0) {
            buffer_int32(copy, 8);
            buffer_float8(copy, of(&figures[i]));
        } else {
            copy_null(copy);
        }
    }
}

/* Where readings beyond the upper limit may stand for less than the range's end. */
static void copy_least(struct buffer *copy, const struct figures *figures, uint32_t size) {
    size_t given = 0;
    for (uint32_t i = 0; i < size; i++) {
        given += figures[i].within > 0;
    }
    copy_array(copy, OID_FLOAT8, (int)size, given < size, (size_t)size * 4 + given * 8);
    for (uint32_t i = 0; i < size; i++) {
        if (figures[i].within > 0) {
            buffer_int32(copy, 8);
            buffer_float8(copy, figures[i].least);
        } else {
            copy_null(copy);
        }
    }
}

static void copy_times(struct buffer *copy, const struct entry *entry, const struct figures *figures, size_t good,
                       bool last) {
    copy_array(copy, OID_INT4, (int)entry->size, good < entry->size, (size_t)entry->size * 4 + good * 4);
    for (uint32_t i = 0; i < entry->size; i++) {
        if (figures[i].count > 0) {
            copy_int4(copy, (int32_t)(last ? figures[i].last_ms : figures[i].first_ms));
        } else {
            copy_null(copy);
        }
    }
}

/* Arrays end with the last ordinal that has a reading, those of flagged ones with the last that has one. */
static void copy_entry(const struct entry *entry, struct buffer *copy) {
    static double (*const readings[])(const struct figures *) = {low_of, high_of, total_of, rest_of, first_of, last_of};
    struct figures of_one[ADAPTER_METRICS_MAX];
    const struct figures *figures = entry->alone == NULL ? entry->figures : of_one;
    size_t good = 0;
    uint32_t flagged_size = 0, within_size = 0;
    if (entry->alone != NULL) {
        memset(of_one, 0, entry->size * sizeof of_one[0]);
        alone_take(entry, of_one);
    }
    for (uint32_t i = 0; i < entry->size; i++) {
        good += figures[i].count > 0;
        flagged_size = figures[i].above + figures[i].below > 0 ? i + 1 : flagged_size;
        within_size = figures[i].within > 0 ? i + 1 : within_size;
    }
    buffer_int16(copy, 16);
    copy_int4(copy, entry->key.device->id);
    copy_time(copy, entry->key.hour * HOUR_MS * COPY_MILLISECOND);
    copy_int4(copy, (int32_t)entry->records);
    copy_time(copy, (entry->key.hour * HOUR_MS + entry->last_ms) * COPY_MILLISECOND);
    copy_integers(copy, entry->size, count_of, figures);
    for (size_t r = 0; r < COUNT_OF(readings); r++) {
        copy_doubles(copy, entry, figures, good, readings[r]);
    }
    copy_times(copy, entry, figures, good, false);
    copy_times(copy, entry, figures, good, true);
    copy_integers(copy, flagged_size, above_of, figures);
    copy_integers(copy, flagged_size, below_of, figures);
    copy_least(copy, figures, within_size);
}

static void move(struct buffer *from, struct buffer *to) {
    struct buffer empty = *to;
    *to = *from;
    *from = empty;
    from->length = 0;
}

size_t rollups_send(struct rollups *rollups) {
    hours_free(&rollups->sent_hours);
    rollups->sent_hours = rollups->counted_hours;
    rollups->counted_hours = (struct hours){.first = NULL};
    rollups->bytes = 0;
    rollups->sent_next = rollups->sent_hours.first;
    copy_pieces_start(&rollups->pieces);
    move(&rollups->counted, &rollups->sent_counted);
    move(&rollups->others, &rollups->sent_others);
    rollups->sent_all = rollups->all_others;
    rollups->all_others = false;
    return rollups->sent_hours.table.count;
}

bool rollups_copy(struct rollups *rollups, struct buffer *copy) {
    if (!copy_pieces_next(&rollups->pieces, copy)) {
        return false;
    }
    while (rollups->sent_next != NULL && copy_pieces_room(&rollups->pieces, copy)) {
        copy_entry(rollups->sent_next, copy);
        rollups->sent_next = rollups->sent_next->next;
    }
    if (rollups->sent_next == NULL) {
        copy_pieces_end(&rollups->pieces, copy);
        hours_free(&rollups->sent_hours);
    }
    return true;
}

static void append_ids(struct buffer *out, const struct buffer *ids) {
    buffer_text(out, "'{");
    for (size_t at = 0; at + ROLLUPS_ID_BYTES <= ids->length; at += ROLLUPS_ID_BYTES) {
        buffer_text(out, at > 0 ? "," : "");
        buffer_text(out, ids->data + at);
    }
    buffer_text(out, "}'::uuid[]");
}

void rollups_copy_batches(const struct rollups *rollups, struct buffer *out) {
    append_ids(out, &rollups->sent_counted);
    buffer_text(out, ", ");
    if (rollups->sent_all) {
        buffer_text(out, "NULL");
    } else {
        append_ids(out, &rollups->sent_others);
    }
}

void rollups_written(struct rollups *rollups) {
    hours_free(&rollups->sent_hours);
    rollups->sent_next = NULL;
    rollups->pieces.sending = false;
    rollups->sent_counted.length = rollups->sent_others.length = 0;
    rollups->sent_all = false;
}

void rollups_unwritten(struct rollups *rollups) {
    leave(rollups, rollups->sent_counted.data, rollups->sent_counted.length);
    leave(rollups, rollups->sent_others.data, rollups->sent_others.length);
    rollups->all_others = rollups->all_others || rollups->sent_all;
    rollups_written(rollups);
}
