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

static void put_position(struct buffer *out, const struct feed_entry *entry) {
    put_member(out, "{\"id\":", entry->key.id);
    buffer_format(out, ",\"lon\":%.7f,\"lat\":%.7f", entry->where.lon, entry->where.lat);
    put_member(out, ",\"at_ms\":", entry->placed_at_ms);
    buffer_text(out, "}");
}

static void put_tile(struct buffer *out, const struct feed_entry *entry) {
    const struct feed_tile tile = feed_tile_of(entry);
    buffer_format(out, "{\"layer\":\"%s\"", tile_layer_names[tile.layer]);
    if (tile.layer < POINT_LAYERS) {
        buffer_format(out, ",\"z\":%d", POINT_CELL_ZOOM);
        put_member(out, ",\"x\":", tile.x);
        put_member(out, ",\"y\":", tile.y);
    }
    buffer_text(out, "}");
}

static void put_thing(struct buffer *out, const struct feed_entry *entry, enum feed_match match) {
    buffer_text(out, out->length > 0 ? "," : "");
    if (match == FEED_LEFT) {
        put_member(out, "{\"id\":", entry->key.id);
        buffer_text(out, ",\"left\":true}");
    } else if (entry->key.layer == FEED_STATE) {
        put_state(out, entry);
    } else if (entry->key.layer == FEED_POSITION) {
        put_position(out, entry);
    } else if (entry->key.layer == FEED_TILE) {
        put_tile(out, entry);
    } else {
        buffer_bytes(out, entry->text, entry->text_length);
    }
}

/* ---- chunks ---- */

/* Where the walk is in each layer; takes the entry that changed first. */
struct walk {
    const struct feed_entry *next[FEED_LAYERS];
};

static const struct feed_entry *walk_step(struct walk *walk, uint64_t last) {
    const struct feed_entry **first = NULL;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        const struct feed_entry *entry = walk->next[layer];
        if (entry != NULL && entry->position <= last && (first == NULL || entry->position < (*first)->position)) {
            first = &walk->next[layer];
        }
    }
    const struct feed_entry *entry = first == NULL ? NULL : *first;
    if (entry != NULL) {
        *first = entry->newer;
    }
    return entry;
}

static struct feed_chunk *chunk_of(const struct feed *feed, struct buffer parts[FEED_LAYERS],
                                   const struct feed_chunk *head) {
    struct buffer out = {0};
    struct feed_chunk *chunk = NULL;
    const struct feed_position position = {.epoch = feed->epoch, .at = head->to};
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

struct feed_chunk *feed_chunk_make(const struct feed *feed, const struct feed_filter *filter, uint64_t from) {
    struct buffer parts[FEED_LAYERS] = {0};
    struct feed_chunk head = {.references = 1, .from = from, .to = feed->turn};
    struct walk walk = {0};
    size_t bytes = 0;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        walk.next[layer] = (filter->layers >> layer & 1) != 0 ? feed_behind(feed, (enum feed_layer)layer, from) : NULL;
    }
    for (const struct feed_entry *entry; (entry = walk_step(&walk, feed->turn)) != NULL;) {
        enum feed_match match = feed_filter_match(filter, entry, from < feed->turn_before);
        if (match == FEED_NOTHING) {
            continue;
        }
        struct buffer *part = &parts[entry->key.layer];
        size_t before = part->length;
        put_thing(part, entry, match);
        bytes += part->length - before;
        head.things++;
        if (bytes >= FEED_CHUNK_BYTES) {
            head.to = entry->position;
            break;
        }
    }
    struct feed_chunk *chunk = chunk_of(feed, parts, &head);
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
