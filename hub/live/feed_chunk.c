/* feed_chunk.c: things as JSON in server-sent events. Only the last event of a chunk has an id: a client that lost its
 * connection within a chunk gets the whole of it once more. Must never print what the filter does not let through. */
#include "hub/live/feed_chunk.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/live/feed_internal.h"
#include "hub/live/feed_position.h"

/* ---- numbers ---- */

/* Most readings are whole or have a few decimals: printed without printf, which costs ten times as much. */
static void put_integer(struct buffer *out, int64_t value) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--at = '-';
    }
    buffer_bytes(out, at, (size_t)(digits + sizeof digits - at));
}

/* The shortest text that reads back as the same number; JSON has no others than finite ones. */
static void put_number(struct buffer *out, double value) {
    static const double exact = 1e12;
    double scaled = rint(value * 1000);
    if (!isfinite(value)) {
        buffer_text(out, "null");
    } else if (fabs(value) < exact && scaled / 1000 == value && (value != 0 || !signbit(value))) {
        int64_t thousandths = (int64_t)scaled, rest = thousandths % 1000;
        char decimals[5] = {'.'};
        int length = 3;
        if (thousandths < 0 && thousandths > -1000) {
            buffer_text(out, "-");
        }
        put_integer(out, thousandths / 1000);
        rest = rest < 0 ? -rest : rest;
        for (int i = 3; i >= 1; i--, rest /= 10) {
            decimals[i] = (char)('0' + rest % 10);
        }
        while (length > 0 && decimals[length] == '0') {
            length--;
        }
        buffer_bytes(out, decimals, length == 0 ? 0 : (size_t)length + 1);
    } else {
        buffer_format(out, "%.17g", value);
    }
}

static void put_member(struct buffer *out, const char *name, int64_t value) {
    buffer_text(out, name);
    put_integer(out, value);
}

/* ---- things ---- */

/* All that are known, not those alone that changed: a client may have been told of some, of others not. Values; times
 * of those whose time is not the state's; which are out of range. */
static void put_readings(struct buffer *out, const struct feed_entry *entry) {
    const struct metric *metrics = entry->device->vendor->adapter->metrics;
    struct buffer times = {0}, bad = {0};
    bool any = false;
    for (size_t i = 0; i < entry->reading_count; i++) {
        const struct feed_reading *reading = &entry->readings[i];
        if (reading->at_ms == 0) {
            continue;
        }
        buffer_text(out, any ? ",\"" : ",\"values\":{\"");
        buffer_text(out, metrics[i].key);
        buffer_text(out, "\":");
        put_number(out, reading->value);
        any = true;
        if (reading->at_ms != entry->observed_at_ms) {
            buffer_text(&times, times.length > 0 ? ",\"" : "\"");
            buffer_text(&times, metrics[i].key);
            put_member(&times, "\":", reading->at_ms);
        }
        if ((entry->quality >> i & 1) != 0) {
            buffer_text(&bad, bad.length > 0 ? ",\"" : "\"");
            buffer_text(&bad, metrics[i].key);
            buffer_text(&bad, "\"");
        }
    }
    buffer_text(out, any ? "}" : "");
    if (times.length > 0) {
        buffer_text(out, ",\"times\":{");
        buffer_bytes(out, times.data, times.length);
        buffer_text(out, "}");
    }
    if (bad.length > 0) {
        buffer_text(out, ",\"out_of_range\":[");
        buffer_bytes(out, bad.data, bad.length);
        buffer_text(out, "]");
    }
    out->failed = out->failed || times.failed || bad.failed;
    buffer_free(&times);
    buffer_free(&bad);
}

static void put_state(struct buffer *out, const struct feed_entry *entry) {
    put_member(out, "{\"id\":", entry->key.id);
    buffer_text(out, ",\"subsystem\":\"");
    buffer_text(out, entry->device->vendor->adapter->key);
    buffer_text(out, entry->online ? "\",\"online\":true" : "\",\"online\":false");
    put_member(out, ",\"last_seen_at_ms\":", entry->last_seen_ms);
    if (entry->online && entry->back_ms != 0) {
        put_member(out, ",\"online_since_ms\":", entry->back_ms);
    }
    if (entry->observed_at_ms != INT64_MIN) {
        put_member(out, ",\"observed_at_ms\":", entry->observed_at_ms);
    }
    put_readings(out, entry);
    buffer_text(out, "}");
}

static void put_position(struct buffer *out, const struct feed_entry *entry, const struct feed_where *where) {
    put_member(out, "{\"id\":", entry->key.id);
    buffer_format(out, ",\"lon\":%.7f,\"lat\":%.7f", where->lon, where->lat);
    put_member(out, ",\"at_ms\":", entry->placed_at_ms);
    buffer_text(out, "}");
}

static void put_tile(struct buffer *out, const struct feed_entry *entry) {
    const struct feed_tile tile = feed_tile_of(&entry->key);
    buffer_format(out, "{\"layer\":\"%s\"", tile_layer_names[tile.layer]);
    if (tile.layer < POINT_LAYERS) {
        buffer_format(out, ",\"z\":%d", POINT_CELL_ZOOM);
        put_member(out, ",\"x\":", tile.x);
        put_member(out, ",\"y\":", tile.y);
    }
    buffer_text(out, "}");
}

/* A thing that several filters let through is made once a turn, as long as there is room for it. */
static void put_made(struct feed *feed, struct buffer *out, const struct feed_slot *slot) {
    struct feed_entry *entry = slot->entry;
    size_t before = out->length;
    if (entry->made_turn == feed->turn) {
        buffer_bytes(out, feed->made.data + entry->made_at, entry->made_length);
        return;
    }
    if (entry->key.layer == FEED_STATE) {
        put_state(out, entry);
    } else {
        put_position(out, entry, &feed_slot_of(feed, entry)->where);
    }
    size_t length = out->length - before;
    if (!out->failed && feed->made.length + length <= FEED_MADE_BYTES_MAX) {
        size_t at = feed->made.length;
        buffer_bytes(&feed->made, out->data + before, length);
        if (!feed->made.failed) {
            entry->made_turn = feed->turn;
            entry->made_at = at;
            entry->made_length = length;
        }
    }
}

static void put_thing(struct feed *feed, struct buffer *out, const struct feed_slot *slot, enum feed_match match) {
    const struct feed_entry *entry = slot->entry;
    buffer_text(out, out->length > 0 ? "," : "");
    if (match == FEED_LEFT) {
        put_member(out, "{\"id\":", entry->key.id);
        buffer_text(out, ",\"left\":true}");
    } else if (entry->key.layer == FEED_STATE || entry->key.layer == FEED_POSITION) {
        put_made(feed, out, slot);
    } else if (entry->key.layer == FEED_TILE) {
        put_tile(out, entry);
    } else {
        buffer_bytes(out, entry->text, entry->text_length);
    }
}

/* ---- chunks ---- */

/* What a filter lets through, in the order of the changes: of each layer the next of it. */
struct walk {
    const struct feed *feed;
    const struct feed_filter *filter;
    struct feed_area area;
    bool behind;
    struct {
        size_t end;
        const struct feed_slot *slot; /* NULL = no more of the layer */
        enum feed_match match;
    } next[FEED_LAYERS];
};

/* A `before` of an earlier turn is told of by its last change, one that went to another department by that and by its
 * end. */
static enum feed_match walk_match(const struct walk *walk, enum feed_layer layer, const struct feed_slot *slot) {
    const struct feed_entry *entry = slot->entry;
    const struct feed_slot *last = entry == NULL ? NULL : feed_slot_of(walk->feed, entry);
    if (entry == NULL ||
        (slot != last && (last->position <= walk->feed->turn || last->where.department != slot->where.department))) {
        return FEED_NOTHING;
    }
    return feed_filter_match(walk->filter, layer, slot, slot == last ? &entry->was : &entry->before_was, walk->behind);
}

/* The layer's next one, from the place on. */
static void walk_seek(struct walk *walk, enum feed_layer layer, size_t place) {
    const struct feed_list *list = &walk->feed->lists[layer];
    const uint32_t *cells = layer == FEED_STATE ? list->cells : NULL;
    size_t end = walk->next[layer].end;
    for (size_t i = place; i < end; i++) {
        if (cells != NULL && !feed_area_has(&walk->area, cells[i])) {
            continue;
        }
        const struct feed_slot *slot = &list->slots[i];
        enum feed_match match = walk_match(walk, layer, slot);
        if (match != FEED_NOTHING) {
            walk->next[layer].slot = slot;
            walk->next[layer].match = match;
            return;
        }
    }
    walk->next[layer].slot = NULL;
}

/* Takes the one that changed first; NULL = there is none. */
static const struct feed_slot *walk_step(struct walk *walk, enum feed_match *match) {
    int first = FEED_LAYERS;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        const struct feed_slot *slot = walk->next[layer].slot;
        if (slot != NULL && (first == FEED_LAYERS || slot->position < walk->next[first].slot->position)) {
            first = layer;
        }
    }
    if (first == FEED_LAYERS) {
        return NULL;
    }
    const struct feed_slot *slot = walk->next[first].slot;
    *match = walk->next[first].match;
    walk_seek(walk, (enum feed_layer)first, (size_t)(slot - walk->feed->lists[first].slots) + 1);
    return slot;
}

static struct feed_chunk *chunk_of(const struct walk *walk, struct buffer parts[FEED_LAYERS],
                                   const struct feed_chunk *head) {
    struct buffer out = {0};
    struct feed_chunk *chunk = NULL;
    const struct feed_position position = {.epoch = walk->feed->epoch, .at = head->to, .scope = walk->filter->scope};
    char id[FEED_POSITION_BYTES];
    feed_position_text(&position, id);
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        if (parts[layer].length > 0) {
            buffer_text(&out, out.length > 0 ? "\n" : "");
            buffer_format(&out, "event: %s\ndata: [", feed_layer_names[layer]);
            buffer_bytes(&out, parts[layer].data, parts[layer].length);
            buffer_text(&out, "]\n");
        }
        out.failed = out.failed || parts[layer].failed;
    }
    if (out.length > 0) {
        buffer_format(&out, "id: %s\n\n", id);
    }
    if (!out.failed) {
        chunk = malloc(sizeof *chunk + out.length);
    }
    if (chunk != NULL) {
        *chunk = *head;
        chunk->length = out.length;
        memcpy(chunk->bytes, out.data == NULL ? "" : out.data, out.length);
    }
    buffer_free(&out);
    return chunk;
}

struct feed_chunk *feed_chunk_make(struct feed *feed, const struct feed_filter *filter, uint64_t from) {
    struct buffer parts[FEED_LAYERS] = {0};
    struct feed_chunk head = {.references = 1, .from = from, .to = feed->turn};
    struct walk walk = {
        .feed = feed, .filter = filter, .area = feed_filter_area(filter), .behind = from < feed->turn_before};
    enum feed_match match = FEED_NOTHING;
    size_t bytes = 0;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        if ((filter->layers >> layer & 1) != 0) {
            walk.next[layer].end = feed_behind(&feed->lists[layer], feed->turn);
            walk_seek(&walk, (enum feed_layer)layer, feed_behind(&feed->lists[layer], from));
        }
    }
    for (const struct feed_slot *slot; (slot = walk_step(&walk, &match)) != NULL;) {
        struct buffer *part = &parts[slot->entry->key.layer];
        size_t before = part->length;
        put_thing(feed, part, slot, match);
        bytes += part->length - before;
        head.things++;
        if (bytes >= FEED_CHUNK_BYTES) {
            head.to = slot->position;
            break;
        }
    }
    struct feed_chunk *chunk = chunk_of(&walk, parts, &head);
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        buffer_free(&parts[layer]);
    }
    return chunk;
}

struct feed_chunk *feed_chunk_keep(struct feed_chunk *chunk) {
    chunk->references++;
    return chunk;
}

void feed_chunk_release(struct feed_chunk *chunk) {
    if (chunk != NULL && --chunk->references == 0) {
        free(chunk);
    }
}
