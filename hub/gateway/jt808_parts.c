/* jt808_parts.c: sub-packets of JT/T 808. Must never keep more than it was allowed to, whatever a terminal declares. */
#include "hub/gateway/jt808_parts.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

struct piece {
    uint8_t *bytes; /* NULL = it is not here */
    size_t length;
    uint16_t serial;
};

/* A message in the making; `pieces` NULL = a free place. */
struct set {
    char phone[JT808_PHONE_MAX];
    uint16_t id, packets, here;
    struct piece *pieces;
    size_t bytes;
    int64_t heard_ms; /* of the terminal, or asked */
    unsigned asks;
};

struct jt808_parts {
    size_t bytes_max, bytes;
    struct set sets[JT808_SETS_MAX];
    uint8_t *body;     /* of the message that was whole last */
    uint16_t *serials; /* of it */
};

struct jt808_parts *jt808_parts_new(size_t bytes_max) {
    struct jt808_parts *parts = calloc(1, sizeof *parts);
    if (parts != NULL) {
        parts->bytes_max = bytes_max;
    }
    return parts;
}

static void drop_set(struct jt808_parts *parts, struct set *set) {
    for (size_t i = 0; set->pieces != NULL && i < set->packets; i++) {
        free(set->pieces[i].bytes);
    }
    free(set->pieces);
    parts->bytes -= set->bytes;
    *set = (struct set){0};
}

static void drop_whole(struct jt808_parts *parts) {
    free(parts->body);
    free(parts->serials);
    parts->body = NULL;
    parts->serials = NULL;
}

void jt808_parts_free(struct jt808_parts *parts) {
    if (parts == NULL) {
        return;
    }
    for (size_t i = 0; i < JT808_SETS_MAX; i++) {
        drop_set(parts, &parts->sets[i]);
    }
    drop_whole(parts);
    free(parts);
}

size_t jt808_parts_bytes(const struct jt808_parts *parts) {
    return parts->bytes;
}

/* ---- sets */

static bool is_of(const struct set *set, const struct jt808_frame *frame) {
    return set->pieces != NULL && set->id == frame->id && set->packets == frame->packets &&
           strcmp(set->phone, frame->phone) == 0;
}

/* A place for a new message: a free one, or that of the one silent for longest. */
static struct set *make_room(struct jt808_parts *parts) {
    struct set *oldest = &parts->sets[0];
    for (size_t i = 0; i < JT808_SETS_MAX; i++) {
        struct set *set = &parts->sets[i];
        if (set->pieces == NULL) {
            return set;
        }
        oldest = set->heard_ms < oldest->heard_ms ? set : oldest;
    }
    drop_set(parts, oldest);
    return oldest;
}

static struct set *begin_set(struct jt808_parts *parts, const struct jt808_frame *frame) {
    struct piece *pieces = calloc(frame->packets, sizeof *pieces);
    if (pieces == NULL) {
        return NULL;
    }
    struct set *set = make_room(parts);
    *set = (struct set){.id = frame->id, .packets = frame->packets, .pieces = pieces};
    memcpy(set->phone, frame->phone, sizeof set->phone);
    return set;
}

static struct set *find_set(struct jt808_parts *parts, const struct jt808_frame *frame) {
    for (size_t i = 0; i < JT808_SETS_MAX; i++) {
        if (is_of(&parts->sets[i], frame)) {
            return &parts->sets[i];
        }
    }
    return NULL;
}

static int refuse(struct jt808_whole *whole, const char *why) {
    whole->why = why;
    return JT808_PART_REFUSED;
}

/* All pieces are here: puts them in a row and lets the set go. */
static int give_whole(struct jt808_parts *parts, struct set *set, struct jt808_whole *whole) {
    parts->body = malloc(set->bytes + 1);
    parts->serials = calloc(set->packets, sizeof *parts->serials);
    if (parts->body == NULL || parts->serials == NULL) {
        drop_whole(parts);
        return CH_EMEMORY;
    }
    size_t used = 0;
    for (size_t i = 0; i < set->packets; i++) {
        memcpy(parts->body + used, set->pieces[i].bytes, set->pieces[i].length);
        used += set->pieces[i].length;
        parts->serials[i] = set->pieces[i].serial;
    }
    *whole = (struct jt808_whole){
        .id = set->id, .body = parts->body, .length = used, .serials = parts->serials, .packets = set->packets};
    drop_set(parts, set);
    return JT808_PART_WHOLE;
}

/* Keeps a piece that is not here yet. */
static int keep_piece(struct jt808_parts *parts, struct set *set, const struct jt808_frame *frame,
                      struct jt808_whole *whole) {
    struct piece *piece = &set->pieces[frame->packet_number - 1];
    if (frame->length > parts->bytes_max - parts->bytes) {
        drop_set(parts, set);
        return refuse(whole,
                      "the pieces of this terminal's messages are more bytes than are kept; the message is dropped");
    }
    piece->bytes = malloc(frame->length + 1);
    if (piece->bytes == NULL) {
        return CH_EMEMORY;
    }
    memcpy(piece->bytes, frame->body, frame->length);
    piece->length = frame->length;
    piece->serial = frame->serial;
    set->here++;
    set->bytes += frame->length;
    parts->bytes += frame->length;
    return set->here == set->packets ? give_whole(parts, set, whole) : JT808_PART_KEPT;
}

int jt808_parts_add(struct jt808_parts *parts, const struct jt808_frame *frame, int64_t now_ms,
                    struct jt808_whole *whole) {
    *whole = (struct jt808_whole){0};
    drop_whole(parts);
    if (frame->packet_number < 1 || frame->packet_number > frame->packets) {
        return refuse(whole, "the number of the sub-packet is not within its total");
    }
    if (frame->packets > JT808_PACKETS_MAX) {
        return refuse(whole, "a message of more than 1024 sub-packets");
    }
    struct set *set = find_set(parts, frame);
    if (set != NULL) {
        const struct piece *piece = &set->pieces[frame->packet_number - 1];
        if (piece->bytes != NULL && piece->length == frame->length &&
            memcmp(piece->bytes, frame->body, frame->length) == 0) {
            set->heard_ms = now_ms;
            return set->here == set->packets ? give_whole(parts, set, whole) : JT808_PART_AGAIN;
        }
        if (piece->bytes != NULL) { /* the next message of the same kind and size */
            drop_set(parts, set);
            set = NULL;
        }
    }
    set = set == NULL ? begin_set(parts, frame) : set;
    if (set == NULL) {
        return CH_EMEMORY;
    }
    set->heard_ms = now_ms;
    set->asks = 0;
    return keep_piece(parts, set, frame, whole);
}

/* ---- what is missing */

static void list_missing(const struct set *set, struct jt808_missing *missing) {
    *missing = (struct jt808_missing){.id = set->id};
    memcpy(missing->phone, set->phone, sizeof missing->phone);
    bool found = false; /* the first piece that is here: those that were asked for may have serials of their own */
    for (uint16_t i = 0; i < set->packets; i++) {
        if (set->pieces[i].bytes == NULL && missing->count < JT808_MISSING_MAX) {
            missing->numbers[missing->count++] = (uint16_t)(i + 1);
        } else if (set->pieces[i].bytes != NULL && !found) {
            missing->first_serial = (uint16_t)(set->pieces[i].serial - i);
            found = true;
        }
    }
}

bool jt808_parts_missing(struct jt808_parts *parts, int64_t now_ms, int64_t wait_ms, unsigned asks_max,
                         struct jt808_missing *missing) {
    for (size_t i = 0; i < JT808_SETS_MAX; i++) {
        struct set *set = &parts->sets[i];
        if (set->pieces == NULL || now_ms - set->heard_ms < wait_ms) {
            continue;
        }
        list_missing(set, missing);
        if (set->asks >= asks_max) {
            missing->given_up = true;
            drop_set(parts, set);
        } else {
            set->asks++;
            set->heard_ms = now_ms;
        }
        return true;
    }
    return false;
}
