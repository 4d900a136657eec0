/* bundle.c: bundles, and messages in flight. Must never end a parcel as stored without the receipts of all messages it
 * is in, nor let one frame's fault cost the others of its message. */
#include "hub/gateway/bundle.h"

#include <mosquitto.h>

#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/closing.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/gateway/upstream.h"

enum {
    GATHER_MS = 10,         /* frames that come within so long travel together */
    RECORDS_MAX = 500,      /* of a message, and of the frame that brings the last of them */
    BYTES_MAX = 512 * 1024, /* likewise */
    FLIGHTS_EASY = 2,       /* messages of a bundle under way: with more, only full ones go */
    FLIGHTS_MAX = 16,
    HELD_BYTES_MAX = 64 * 1024 * 1024, /* of all that waits or is under way */
    BUNDLES_MAX = 1024,
};

/* One parcel's share of a message. */
struct part {
    struct parcel *parcel; /* NULL = it has ended */
    size_t count;          /* records */
    size_t from, to;       /* bytes of the payload */
};

/* A message that is being filled, or under way. */
struct load {
    struct bundle *bundle;
    struct load *next; /* among those that wait to be sent alone */
    struct buffer payload;
    struct part *parts;
    size_t part_count, part_room;
    size_t records;
    uint64_t began_ms; /* of uv_now: its first record */
    bool alone;        /* it was divided, and is not again */
};

struct bundle {
    struct bundles *bundles;
    char *subsystem, *vendor, *kind;
    struct load *filling; /* NULL = nothing */
    struct load *alone;   /* parts of one that was refused whole */
    unsigned flights;
};

struct bundles {
    uv_loop_t *loop;
    const struct config *config;
    struct upstream *upstream;
    struct bundle *list[BUNDLES_MAX];
    size_t count;
    size_t held_bytes;
    uv_timer_t timer;
    struct closing closing;
};

/* ---- loads and parts ---- */

void parcel_begin(struct parcel *parcel, void (*ended)(struct parcel *parcel, enum parcel_end end)) {
    *parcel = (struct parcel){.ended = ended, .parts = 1, .worst = PARCEL_STORED};
}

void parcel_seal(struct parcel *parcel) {
    if (--parcel->parts == 0) {
        parcel->ended(parcel, parcel->worst);
    }
}

void parcel_part_end(struct parcel *parcel, enum parcel_end end) {
    parcel->worst = end > parcel->worst ? end : parcel->worst;
    parcel_seal(parcel);
}

static void part_end(struct part *part, enum parcel_end end) {
    struct parcel *parcel = part->parcel;
    part->parcel = NULL;
    if (parcel != NULL) {
        parcel_part_end(parcel, end);
    }
}

static void load_free(struct load *load) {
    load->bundle->bundles->held_bytes -= load->payload.length;
    buffer_free(&load->payload);
    free(load->parts);
    free(load);
}

static void load_end(struct load *load, enum parcel_end end) {
    for (size_t i = 0; i < load->part_count; i++) {
        part_end(&load->parts[i], end);
    }
    load_free(load);
}

static struct load *load_new(struct bundle *bundle) {
    struct load *load = calloc(1, sizeof *load);
    if (load != NULL) {
        load->bundle = bundle;
        load->began_ms = uv_now(bundle->bundles->loop);
    }
    return load;
}

/* Adds a part of `count` records, JSON objects with commas between. 0 or CH_EMEMORY: nothing is added. */
static int load_add(struct load *load, struct parcel *parcel, const char *text, size_t length, size_t count) {
    if (load->part_count == load->part_room) {
        size_t room = load->part_room == 0 ? 8 : load->part_room * 2;
        struct part *parts = realloc(load->parts, room * sizeof *parts);
        if (parts == NULL) {
            return CH_EMEMORY;
        }
        load->parts = parts;
        load->part_room = room;
    }
    size_t before = load->payload.length;
    buffer_text(&load->payload, before == 0 ? "[" : ",\n");
    size_t from = load->payload.length;
    buffer_bytes(&load->payload, text, length);
    if (load->payload.failed) {
        load->payload.length = before;
        load->payload.failed = false;
        return CH_EMEMORY;
    }
    load->parts[load->part_count++] =
        (struct part){.parcel = parcel, .count = count, .from = from, .to = load->payload.length};
    load->records += count;
    load->bundle->bundles->held_bytes += load->payload.length - before;
    return 0;
}

/* ---- receipts ---- */

/* Each part alone, so that what is wrong with one is not the others'. False: memory is out, or it was alone. */
static bool load_divide(struct load *load) {
    struct bundle *bundle = load->bundle;
    if (load->alone || load->part_count < 2) {
        return false;
    }
    for (size_t i = 0; i < load->part_count; i++) {
        struct part *part = &load->parts[i];
        struct load *alone = part->parcel == NULL ? NULL : load_new(bundle);
        if (part->parcel == NULL) {
            continue;
        }
        if (alone == NULL ||
            load_add(alone, part->parcel, load->payload.data + part->from, part->to - part->from, part->count) != 0) {
            if (alone != NULL) {
                load_free(alone);
            }
            part_end(part, PARCEL_UNSURE);
            continue;
        }
        part->parcel = NULL;
        alone->alone = true;
        alone->next = bundle->alone;
        bundle->alone = alone;
    }
    load_free(load);
    return true;
}

/* Whether the hub refused all of it unread, or could not store it: what it keeps then may be cut. */
static bool is_refused(const cJSON *receipt) {
    const cJSON *problem;
    cJSON_ArrayForEach(problem, member_get(receipt, "problems")) {
        if (member_number(problem, "index", 0) < 0 ||
            strcmp(member_text(problem, "code"), "refused_by_database") == 0) {
            return true;
        }
    }
    return false;
}

static void on_ended(void *user, enum publisher_end end, const cJSON *receipt, int reason) {
    struct load *load = user;
    struct bundles *bundles = load->bundle->bundles;
    load->bundle->flights--;
    bool refused = end == PUBLISHER_REFUSED || (end == PUBLISHER_RECEIPT && is_refused(receipt));
    if (refused) {
        log_warning("bundle_refused", "subsystem=%s vendor=%s kind=%s frames=%zu reason=%s", load->bundle->subsystem,
                    load->bundle->vendor, load->bundle->kind, load->part_count,
                    end == PUBLISHER_REFUSED
                        ? log_quote(mosquitto_reason_string(reason))
                        : log_quote(member_text(cJSON_GetArrayItem(member_get(receipt, "problems"), 0), "reason")));
    }
    if (bundles->closing.begun || !refused || end == PUBLISHER_REFUSED || !load_divide(load)) {
        load_end(load, refused ? PARCEL_REFUSED : end == PUBLISHER_RECEIPT ? PARCEL_STORED : PARCEL_UNSURE);
    }
    bundles_wake(bundles);
}

/* ---- on their way ---- */

static void on_timer(uv_timer_t *timer) {
    bundles_wake(timer->data);
}

/* CH_E* = not now. */
static int load_publish(struct load *load) {
    struct bundle *bundle = load->bundle;
    size_t length = load->payload.length;
    buffer_text(&load->payload, "]");
    struct publisher_message message = {.subsystem = bundle->subsystem,
                                        .vendor = bundle->vendor,
                                        .kind = bundle->kind,
                                        .payload = load->payload.data,
                                        .length = load->payload.length,
                                        .ended = on_ended,
                                        .user = load};
    int code = load->payload.failed ? CH_EMEMORY : upstream_publish(bundle->bundles->upstream, &message);
    load->payload.length = length;
    load->payload.failed = false;
    bundle->flights += code == 0;
    return code;
}

static bool is_late(const struct load *load) {
    const struct bundles *bundles = load->bundle->bundles;
    return uv_now(bundles->loop) - load->began_ms >= (uint64_t)bundles->config->gateway_receipt_s * 1000;
}

/* What waits too long for a broker is given up: its devices were not told anything, and say it again. */
static void bundle_go(struct bundle *bundle) {
    struct load *filling = bundle->filling;
    while (bundle->alone != NULL && bundle->flights < FLIGHTS_MAX) {
        struct load *load = bundle->alone;
        if (load_publish(load) == 0) {
            bundle->alone = load->next;
        } else if (is_late(load)) {
            bundle->alone = load->next;
            load_end(load, PARCEL_UNSURE);
        } else {
            break;
        }
    }
    if (filling == NULL) {
        return;
    }
    uint64_t age = uv_now(bundle->bundles->loop) - filling->began_ms;
    bool full = filling->records >= RECORDS_MAX || filling->payload.length >= BYTES_MAX;
    bool goes = full ? bundle->flights < FLIGHTS_MAX : age >= GATHER_MS && bundle->flights < FLIGHTS_EASY;
    if (goes && load_publish(filling) == 0) {
        bundle->filling = NULL;
    } else if (is_late(filling)) {
        bundle->filling = NULL;
        load_end(filling, PARCEL_UNSURE);
    }
}

void bundles_wake(struct bundles *bundles) {
    bool more = false;
    for (size_t i = 0; i < bundles->count && !bundles->closing.begun; i++) {
        bundle_go(bundles->list[i]);
        more = more || bundles->list[i]->filling != NULL || bundles->list[i]->alone != NULL;
    }
    if (more && !bundles->closing.begun && !uv_is_active((uv_handle_t *)&bundles->timer)) {
        uv_timer_start(&bundles->timer, on_timer, GATHER_MS, 0);
    }
}

bool bundles_full(const struct bundles *bundles) {
    return bundles->held_bytes >= HELD_BYTES_MAX;
}

/* ---- putting ---- */

static struct bundle *bundle_of(struct bundles *bundles, const char *subsystem, const char *vendor, const char *kind) {
    for (size_t i = 0; i < bundles->count; i++) {
        struct bundle *at = bundles->list[i];
        if (strcmp(at->vendor, vendor) == 0 && strcmp(at->subsystem, subsystem) == 0 && strcmp(at->kind, kind) == 0) {
            return at;
        }
    }
    struct bundle *bundle = bundles->count == BUNDLES_MAX ? NULL : calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return NULL;
    }
    *bundle = (struct bundle){
        .bundles = bundles, .subsystem = strdup(subsystem), .vendor = strdup(vendor), .kind = strdup(kind)};
    if (bundle->subsystem == NULL || bundle->vendor == NULL || bundle->kind == NULL) {
        free(bundle->subsystem);
        free(bundle->vendor);
        free(bundle->kind);
        free(bundle);
        return NULL;
    }
    bundles->list[bundles->count++] = bundle;
    return bundle;
}

/* A message that has no room for more is under way, or waits: its frames' acknowledgements come first. */
static struct load *load_of(struct bundle *bundle) {
    if (bundle->filling != NULL &&
        (bundle->filling->records >= RECORDS_MAX || bundle->filling->payload.length >= BYTES_MAX)) {
        bundle_go(bundle);
    }
    if (bundle->filling == NULL) {
        bundle->filling = load_new(bundle);
    }
    return bundle->filling;
}

int bundle_put(struct bundles *bundles, const char *subsystem, const char *vendor, const char *kind,
               const cJSON *records, struct parcel *parcel) {
    struct bundle *bundle = bundle_of(bundles, subsystem, vendor, kind);
    struct load *load = bundle == NULL ? NULL : load_of(bundle);
    char *text = load == NULL ? NULL : cJSON_PrintUnformatted(records);
    if (text == NULL) {
        return CH_EMEMORY;
    }
    size_t length = strlen(text);
    int code = load_add(load, parcel, text + 1, length - 2, (size_t)cJSON_GetArraySize(records)); /* without [ and ] */
    free(text);
    if (code == 0) {
        parcel->parts++;
        if (!uv_is_active((uv_handle_t *)&bundles->timer)) {
            uv_timer_start(&bundles->timer, on_timer, GATHER_MS, 0);
        }
    }
    return code;
}

/* ---- open and close ---- */

static void bundles_free(void *part) {
    struct bundles *bundles = part;
    for (size_t i = 0; i < bundles->count; i++) {
        free(bundles->list[i]->subsystem);
        free(bundles->list[i]->vendor);
        free(bundles->list[i]->kind);
        free(bundles->list[i]);
    }
    free(bundles);
}

struct bundles *bundles_open(uv_loop_t *loop, const struct config *config, struct upstream *upstream) {
    struct bundles *bundles = calloc(1, sizeof *bundles);
    if (bundles == NULL) {
        log_error("out_of_memory", "what=bundles");
        return NULL;
    }
    bundles->loop = loop;
    bundles->config = config;
    bundles->upstream = upstream;
    uv_timer_init(loop, &bundles->timer);
    bundles->timer.data = bundles;
    return bundles;
}

void bundles_close(struct bundles *bundles, void (*closed)(void *user), void *user) {
    closing_begin(&bundles->closing, bundles_free, bundles, closed, user);
    closing_handle(&bundles->closing, (uv_handle_t *)&bundles->timer);
    for (size_t i = 0; i < bundles->count; i++) {
        struct bundle *bundle = bundles->list[i];
        while (bundle->alone != NULL) {
            struct load *load = bundle->alone;
            bundle->alone = load->next;
            load_end(load, PARCEL_UNSURE);
        }
        if (bundle->filling != NULL) {
            load_end(bundle->filling, PARCEL_UNSURE);
            bundle->filling = NULL;
        }
    }
}
