/* feed.c: things in the order of their last change, a list a layer and one index. Must never forget a change without
 * raising the floor of its layer: below that nobody is told that he has all. */
#include "hub/live/feed.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/metrics.h"
#include "hub/live/feed_filter.h"
#include "hub/live/feed_internal.h"

enum {
    LIST_ROOM_LEAST = 64,
    MADE_BYTES_KEPT = 64 * 1024,
};

const char *const feed_layer_names[FEED_LAYERS] = {"state", "position", "alarm", "case", "counter", "score", "tile"};

struct feed *feed_new(uint64_t epoch) {
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed != NULL) {
        feed->epoch = epoch;
    }
    return feed;
}

/* ---- lists ---- */

static void before_forget(struct feed_list *list, struct feed_entry *entry) {
    if (entry->before != FEED_NOWHERE) {
        list->slots[entry->before].entry = NULL;
        entry->before = FEED_NOWHERE;
    }
}

static void entry_drop(struct feed *feed, struct feed_entry *entry) {
    struct feed_list *list = &feed->lists[entry->key.layer];
    before_forget(list, entry);
    list->slots[entry->slot].entry = NULL;
    list->count--;
    list->bytes -= entry->text_length;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the index, which therefore is */
    HASH_DELETE(hh, feed->index, entry);
    free(entry->text);
    free(entry);
}

static void list_clear(struct feed *feed, enum feed_layer layer) {
    struct feed_list *list = &feed->lists[layer];
    for (size_t i = list->first; i < list->end; i++) {
        if (list->slots[i].entry != NULL) {
            entry_drop(feed, list->slots[i].entry);
        }
    }
    free(list->slots);
    free(list->cells);
    list->slots = NULL;
    list->cells = NULL;
    list->first = list->end = list->room = 0;
}

static void list_bound(struct feed *feed, struct feed_list *list) {
    while (list->count > FEED_THINGS_MAX || list->bytes > FEED_TEXT_BYTES_MAX) {
        size_t place = list->first++;
        struct feed_entry *entry = list->slots[place].entry;
        if (entry != NULL && entry->before == place) {
            before_forget(list, entry);
        } else if (entry != NULL) {
            list->floor = list->slots[place].position;
            entry_drop(feed, entry);
        }
    }
}

/* Puts what is in use side by side at the beginning. */
static void list_close_up(struct feed_list *list, uint64_t turn) {
    size_t end = 0;
    for (size_t i = list->first; i < list->end; i++) {
        struct feed_entry *entry = list->slots[i].entry;
        if (entry != NULL && entry->before == i && list->slots[entry->slot].position <= turn) {
            before_forget(list, entry); /* of an earlier turn */
        } else if (entry != NULL) {
            list->slots[end] = list->slots[i];
            list->cells[end] = list->cells[i];
            *(entry->before == i ? &entry->before : &entry->slot) = end;
            end++;
        }
    }
    list->first = 0;
    list->end = end;
}

static bool list_grow(struct feed_list *list) {
    size_t room = list->room == 0 ? LIST_ROOM_LEAST : 2 * list->room;
    struct feed_slot *slots = realloc(list->slots, room * sizeof *slots);
    list->slots = slots == NULL ? list->slots : slots;
    uint32_t *cells = slots == NULL ? NULL : realloc(list->cells, room * sizeof *cells);
    list->cells = cells == NULL ? list->cells : cells;
    list->room = cells == NULL ? list->room : room;
    return cells != NULL;
}

/* Room for one more at the end; false = out of memory. At least half of it is free when all has been moved: a change
 * costs the same however many there are. */
static bool list_reserve(struct feed_list *list, uint64_t turn) {
    if (list->end < list->room) {
        return true;
    }
    list_close_up(list, turn);
    return list->end < (list->room + 1) / 2 || list_grow(list);
}

void feed_free(struct feed *feed) {
    if (feed != NULL) {
        feed_stop(feed);
        buffer_free(&feed->snapshot);
        buffer_free(&feed->coming);
        buffer_free(&feed->made);
        free(feed);
    }
}

uint64_t feed_epoch(const struct feed *feed) {
    return feed->epoch;
}

uint64_t feed_head(const struct feed *feed) {
    return feed->head;
}

void feed_start(struct feed *feed) {
    feed->kept = true;
}

void feed_stop(struct feed *feed) {
    feed_lost(feed, FEED_ALL);
    feed->kept = feed->counted = false;
    feed->snapshot.length = feed->coming.length = 0;
    feed->read_ms = 0;
}

bool feed_kept(const struct feed *feed) {
    return feed->kept;
}

void feed_lost(struct feed *feed, unsigned layers) {
    feed->head++;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        if ((layers >> layer & 1) != 0) {
            list_clear(feed, (enum feed_layer)layer);
            feed->lists[layer].floor = feed->head;
        }
    }
}

void feed_settled(struct feed *feed, uint64_t position) {
    feed->settled = position > feed->settled ? position : feed->settled;
}

uint64_t feed_settled_at(const struct feed *feed) {
    return feed->settled;
}

size_t feed_behind(const struct feed_list *list, uint64_t position) {
    size_t low = list->first, high = list->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->slots[middle].position > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* What moves is told of where it was, too: it is looked at wherever it is. */
static bool is_still(const struct feed_slot *slot) {
    const struct feed_entry *entry = slot->entry;
    return slot->where.placed && slot->left == 0 &&
           (entry == NULL || (!entry->moves && !(entry->was.anywhere && entry->placed_at_ms != 0)));
}

static void list_place(struct feed_list *list, uint64_t behind) {
    for (size_t i = feed_behind(list, behind); i < list->end; i++) {
        const struct feed_slot *slot = &list->slots[i];
        list->cells[i] = is_still(slot) ? feed_cell_of(slot->where.lon, slot->where.lat) : (uint32_t)FEED_CELL_ANYWHERE;
    }
}

void feed_turn(struct feed *feed) {
    feed->turn_before = feed->turn;
    if (feed->turn != feed->head) {
        list_place(&feed->lists[FEED_STATE], feed->turn);
        feed->turn = feed->head;
        buffer_reset(&feed->made, MADE_BYTES_KEPT);
    }
}

/* ---- entries ---- */

static struct feed_entry *entry_find(const struct feed *feed, const struct feed_key *key) {
    struct feed_entry *entry;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the key has no padding, all of it is set */
    HASH_FIND(hh, feed->index, key, sizeof *key, entry);
    return entry;
}

/* What is known of where it is, until the caller says more. */
static void entry_append(struct feed *feed, struct feed_entry *entry, const struct feed_where *where) {
    struct feed_list *list = &feed->lists[entry->key.layer];
    entry->slot = list->end++;
    list->slots[entry->slot] =
        (struct feed_slot){.position = ++feed->head, .entry = entry, .where = *where, .left = entry->key.left};
}

static void entry_again(struct feed *feed, struct feed_entry *entry) {
    struct feed_slot *slot = feed_slot_of(feed, entry);
    const struct feed_where where = slot->where;
    hub_metrics.stream_coalesced += slot->position > feed->turn;
    if (slot->position <= feed->turn) {
        before_forget(&feed->lists[entry->key.layer], entry);
        entry->before = entry->slot;
        entry->before_was = entry->was;
        entry->was = (struct feed_was){.placed = where.placed, .lon = where.lon, .lat = where.lat};
    } else {
        slot->entry = NULL;
    }
    entry_append(feed, entry, &where);
}

static struct feed_entry *entry_new(struct feed *feed, const struct feed_key *key, size_t readings) {
    struct feed_entry *entry = calloc(1, sizeof *entry + readings * sizeof entry->readings[0]);
    if (entry == NULL) {
        return NULL;
    }
    entry->key = *key;
    entry->reading_count = readings;
    entry->was.anywhere = true;
    entry->before = FEED_NOWHERE;
    HASH_ADD(hh, feed->index, key, sizeof *key, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return NULL;
    }
    entry_append(feed, entry, &(struct feed_where){0});
    feed->lists[key->layer].count++;
    return entry;
}

/* The thing's entry, made if there is none, at the end of its list with a new position. NULL = memory is out: the
 * layer is lost. */
static struct feed_entry *entry_change(struct feed *feed, const struct feed_key *key, size_t readings) {
    struct feed_entry *entry = NULL;
    if (list_reserve(&feed->lists[key->layer], feed->turn)) {
        entry = entry_find(feed, key);
        if (entry != NULL) {
            entry_again(feed, entry);
        } else {
            entry = entry_new(feed, key, readings);
        }
    }
    if (entry == NULL) {
        feed_lost(feed, 1U << key->layer);
    }
    return entry;
}

/* ---- departments ---- */

void feed_left(struct feed *feed, enum feed_layer layer, int64_t id, int department, int now) {
    const struct feed_key key = {.id = id, .layer = (int32_t)layer, .left = department};
    struct feed_entry *entry = feed->kept && department != 0 ? entry_change(feed, &key, 0) : NULL;
    if (entry != NULL) {
        feed_slot_of(feed, entry)->where = (struct feed_where){.subsystem = -1, .department = now};
    }
}

/* Before the thing itself is changed, so that who sees both departments has its end first. */
static void department_settle(struct feed *feed, enum feed_layer layer, int64_t id, int department) {
    const struct feed_key key = {.id = id, .layer = (int32_t)layer};
    const struct feed_entry *entry = entry_find(feed, &key);
    int before = entry == NULL ? department : feed_slot_of(feed, entry)->where.department;
    if (before != department) {
        feed_left(feed, layer, id, before, department);
    }
}

/* ---- devices ---- */

/* The device's entry in a layer, changed. */
static struct feed_entry *device_change(struct feed *feed, enum feed_layer layer, const struct device *device) {
    const struct feed_key key = {.id = device->id, .layer = (int32_t)layer};
    const struct adapter *adapter = device->vendor->adapter;
    department_settle(feed, layer, device->id, device->department);
    struct feed_entry *entry = entry_change(feed, &key, layer == FEED_STATE ? adapter->metric_count : 0);
    if (entry == NULL) {
        return NULL;
    }
    struct feed_where *where = &feed_slot_of(feed, entry)->where;
    if (entry->device == NULL) {
        entry->device = device;
        entry->observed_at_ms = INT64_MIN;
        where->subsystem = (int)adapter_index(adapter);
        where->placed = device->placed;
        where->lon = device->lon;
        where->lat = device->lat;
    }
    where->department = device->department;
    return entry;
}

static void place(struct feed *feed, struct feed_entry *entry, const struct record *record) {
    if (record->has_position && !record->outside && record->observed_at_ms >= entry->placed_at_ms) {
        struct feed_where *where = &feed_slot_of(feed, entry)->where;
        entry->moves = entry->moves || (where->placed &&
                                        feed_cell_of(where->lon, where->lat) != feed_cell_of(record->lon, record->lat));
        where->placed = true;
        where->lon = record->lon;
        where->lat = record->lat;
        entry->placed_at_ms = record->observed_at_ms;
    }
}

/* As states_note keeps them: of each metric the reading with the later time. */
static void readings_note(struct feed_entry *entry, const struct record *record) {
    int64_t at = record->observed_at_ms;
    for (uint64_t rest = record->present; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (at >= entry->readings[i].at_ms) {
            entry->readings[i] = (struct feed_reading){.value = record->values[i], .at_ms = at};
            entry->quality = (entry->quality & ~(UINT64_C(1) << i)) | (record->quality & UINT64_C(1) << i);
        }
    }
    entry->observed_at_ms = at > entry->observed_at_ms ? at : entry->observed_at_ms;
}

/* A place comes as a record of its own beside the readings: it says nothing more of the state than where that is, which
 * goes with what is to be told in this turn anyway. NULL = it says more. */
static struct feed_entry *state_of_turn(const struct feed *feed, const struct device *device,
                                        const struct record *record, int64_t received_at_ms) {
    const struct feed_key key = {.id = device->id, .layer = FEED_STATE};
    struct feed_entry *known = record->present == 0 ? entry_find(feed, &key) : NULL;
    const struct feed_slot *slot = known == NULL ? NULL : feed_slot_of(feed, known);
    bool is = slot != NULL && slot->position > feed->turn && known->online && known->last_seen_ms >= received_at_ms &&
              known->observed_at_ms >= record->observed_at_ms && slot->where.department == device->department;
    return is ? known : NULL;
}

void feed_record(struct feed *feed, struct device *device, const struct record *record, int64_t received_at_ms) {
    if (!feed->kept) {
        return;
    }
    struct feed_entry *state = state_of_turn(feed, device, record, received_at_ms);
    state = state == NULL ? device_change(feed, FEED_STATE, device) : state;
    if (state != NULL) {
        state->last_seen_ms = received_at_ms > state->last_seen_ms ? received_at_ms : state->last_seen_ms;
        state->online = true;
        readings_note(state, record);
        place(feed, state, record);
    }
    if (record->has_position && !record->outside) {
        struct feed_entry *moved = device_change(feed, FEED_POSITION, device);
        if (moved != NULL) {
            place(feed, moved, record);
        }
    }
}

void feed_back(struct feed *feed, const struct device *device, int64_t received_at_ms) {
    const struct feed_key key = {.id = device->id, .layer = FEED_STATE};
    struct feed_entry *state = feed->kept ? entry_find(feed, &key) : NULL;
    if (state != NULL) {
        state->back_ms = received_at_ms;
    }
}

/* Whether the feed has its entry in the layer, and what it knows of it is not older, nor told to another department. */
static bool is_told(const struct feed *feed, enum feed_layer layer, const struct device *device, int64_t at_ms) {
    const struct feed_key key = {.id = device->id, .layer = (int32_t)layer};
    const struct feed_entry *known = entry_find(feed, &key);
    return known != NULL && (layer == FEED_STATE ? known->last_seen_ms : known->placed_at_ms) > at_ms &&
           feed_slot_of(feed, known)->where.department == device->department;
}

void feed_presence(struct feed *feed, struct device *device, bool online, int64_t last_seen_ms) {
    if (!feed->kept || is_told(feed, FEED_STATE, device, last_seen_ms)) {
        return;
    }
    struct feed_entry *state = device_change(feed, FEED_STATE, device);
    if (state != NULL && state->last_seen_ms <= last_seen_ms) {
        state->online = online;
        state->last_seen_ms = last_seen_ms;
    }
}

void feed_place(struct feed *feed, struct device *device, double lon, double lat, int64_t at_ms) {
    const struct record record = {.observed_at_ms = at_ms, .has_position = true, .lon = lon, .lat = lat};
    if (!feed->kept || is_told(feed, FEED_POSITION, device, at_ms)) {
        return;
    }
    struct feed_entry *moved = device_change(feed, FEED_POSITION, device);
    if (moved != NULL) {
        place(feed, moved, &record);
    }
}

/* ---- texts ---- */

void feed_text(struct feed *feed, enum feed_layer layer, int64_t id, const struct feed_where *where, const char *text,
               size_t length) {
    const struct feed_key key = {.id = id, .layer = (int32_t)layer};
    if (!feed->kept) {
        return;
    }
    department_settle(feed, layer, id, where->department);
    char *copy = malloc(length + 1);
    struct feed_entry *entry = copy == NULL ? NULL : entry_change(feed, &key, 0);
    if (entry == NULL) {
        free(copy);
        feed_lost(feed, 1U << layer);
        return;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct feed_list *list = &feed->lists[layer];
    list->bytes += length - entry->text_length;
    free(entry->text);
    entry->text = copy;
    entry->text_length = length;
    feed_slot_of(feed, entry)->where = *where;
    list_bound(feed, list);
}

/* ---- tiles ---- */

static void tile_change(struct feed *feed, const struct feed_tile *tile, int department) {
    const struct feed_key key = {.id = feed_tile_id(tile, department), .layer = FEED_TILE};
    struct feed_entry *entry = feed->kept ? entry_change(feed, &key, 0) : NULL;
    if (entry != NULL) {
        feed_slot_of(feed, entry)->where = (struct feed_where){.subsystem = -1, .department = department};
        list_bound(feed, &feed->lists[FEED_TILE]);
    }
}

void feed_cell(struct feed *feed, unsigned tiles, uint32_t x, uint32_t y, int department) {
    tile_change(feed, &(struct feed_tile){.layer = tiles, .x = x, .y = y}, department);
}

void feed_polygons(struct feed *feed, unsigned tiles) {
    tile_change(feed, &(struct feed_tile){.layer = tiles}, 0);
}
