/* speech_hj212.c: HJ 212 on a connection: who speaks, what is stored, what is answered, what is asked for. Must never
 * answer a frame whose data is not stored, nor ask for more than one thing at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/base/topic.h"
#include "hub/gateway/connection.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/hj212.h"
#include "hub/gateway/hj212_records.h"
#include "hub/gateway/hj212_tell.h"
#include "hub/gateway/raw.h"
#include "hub/gateway/speech.h"
#include "hub/gateway/upstream.h"

_Static_assert((int)TERMINAL_KEY_BYTES == (int)HJ212_KEY_BYTES, "a terminal's key is SM4's");

enum {
    FETCHES_MAX = 8,           /* of a monitor, that wait to be asked for */
    FETCH_WAIT_MS = 120000,    /* for the end of one that was asked for */
    HISTORY_AGAIN_MS = 600000, /* so often the hub is asked what is missing */
    KEY_AGAIN_MS = 30000,      /* so often the hub is told that a terminal uses its new key, until its list says so */
    NEW_KEY = 1014,
    REQUEST_ANSWER = 9011,
    REQUEST_END = 9012,
};

struct fetch {
    int command;
    int64_t begin_ms, end_ms;
};

/* What is kept of a connection: the terminal that speaks by it, and what it is asked for, one after the other. */
struct station {
    char st[8], mn[TERMINAL_IDENTITY_MAX], pw[24];
    int version;
    uint64_t ask_at; /* steady ms: when the hub is asked next what is missing */
    struct fetch list[FETCHES_MAX];
    size_t count;
    uint64_t asked_at;           /* of the first in the list, or of the command; 0 = nothing is under way */
    struct command_name telling; /* the command that is under way, id 0 = none */
    int64_t asked_ms;            /* its QN */
    uint64_t keyed_at;           /* steady ms: when the hub was told last that it uses its new key; 0 = never */
};

static int64_t port(const struct config *config) {
    return config->gateway_hj212_port;
}

static enum reading next_frame(const char *bytes, size_t length, struct reading_result *result) {
    return hj212_read(bytes, length, false, result);
}

static enum hj212_crc crc_of(const struct terminal *terminal) {
    for (size_t i = 0; i <= HJ212_CRC_OFF; i++) {
        if (strcmp(hj212_crc_words[i], terminal->crc) == 0) {
            return (enum hj212_crc)i;
        }
    }
    return HJ212_CRC_STANDARD;
}

/* The terminal that may have sent it; NULL: it is over. */
static const struct terminal *sender(struct connection *connection, const struct hj212_frame *frame, const char *bytes,
                                     size_t length) {
    char reason[HJ212_REASON_MAX], answer[HJ212_ANSWER_MAX];
    const char *why = hj212_refusal(frame, HJ212_CRC_OFF, reason);
    const struct terminal *terminal = why == NULL ? connection_caller(connection, frame->mn, bytes, length) : NULL;
    if (why == NULL && terminal == NULL) {
        return NULL;
    }
    why = why == NULL ? hj212_refusal(frame, crc_of(terminal), reason) : why;
    if (why != NULL) {
        log_info("hj212_frame", "mn=%s reason=%s", log_quote(frame->mn), log_quote(why));
        connection_count(connection, FRAME_BROKEN);
        if (terminal != NULL) {
            connection_refused(connection, terminal, "wrong_check_value");
        }
        return NULL;
    }
    if (!terminal_secret_fits(terminal, frame->pw == NULL ? "" : frame->pw)) {
        log_warning("hj212_frame", "mn=%s reason=\"its PW is not this terminal's\"", log_quote(frame->mn));
        connection_count(connection, FRAME_UNKNOWN);
        connection_refused(connection, terminal, "wrong_secret");
        connection_send(connection, answer, hj212_refuse(frame, HJ212_WRONG_PW, crc_of(terminal), answer));
        return NULL;
    }
    return terminal;
}

/* What it waits for, and behind a question for the time the time. */
static void put_answer(struct buffer *out, const struct hj212_frame *frame, const struct terminal *terminal) {
    enum { SET_CLOCK = 1013 };
    char answer[HJ212_ANSWER_MAX];
    enum hj212_crc crc = crc_of(terminal);
    buffer_bytes(out, answer, hj212_answer(frame, crc, answer));
    if (frame->command == SET_CLOCK) {
        const struct hj212_peer peer = {.st = frame->st,
                                        .pw = frame->pw == NULL ? "" : frame->pw,
                                        .mn = frame->mn,
                                        .version = frame->version == 0 ? 2025 : frame->version,
                                        .offset_s = terminal->offset_minutes * 60,
                                        .crc = crc};
        buffer_bytes(out, answer, hj212_set_clock(&peer, hj212_value(frame, "PolId"), clock_now_ms(), answer));
    }
}

/* ---- what is missing ---- */

/* The connection's terminal; another one begins anew. NULL = memory is out, or its fields are none of the standard's.
 */
static struct station *station_of(struct connection *connection, const struct hj212_frame *frame) {
    void **state = connection_state(connection);
    const char *pw = frame->pw == NULL ? "" : frame->pw, *st = frame->st == NULL ? "" : frame->st;
    struct station *station = *state;
    if (strlen(st) >= sizeof station->st || strlen(pw) >= sizeof station->pw ||
        strlen(frame->mn) >= sizeof station->mn) {
        return NULL;
    }
    if (station == NULL) {
        station = *state = calloc(1, sizeof *station);
    }
    if (station != NULL && strcmp(station->mn, frame->mn) != 0) {
        const int64_t wait_ms = connection_parts(connection)->config->gateway_history_s * 1000;
        *station = (struct station){.ask_at = (uint64_t)(clock_steady_ms() + wait_ms)};
        snprintf(station->mn, sizeof station->mn, "%s", frame->mn);
    }
    if (station != NULL && frame->command < REQUEST_ANSWER) { /* answers have an ST of their own */
        snprintf(station->st, sizeof station->st, "%s", st);
        snprintf(station->pw, sizeof station->pw, "%s", pw);
        station->version = frame->version == 0 ? 2025 : frame->version;
    }
    return station;
}

static void release(void *state) {
    secret_wipe(state, sizeof(struct station));
    free(state);
}

static struct hj212_peer peer_of(const struct station *station, const struct terminal *terminal) {
    return (struct hj212_peer){.st = station->st,
                               .pw = station->pw,
                               .mn = station->mn,
                               .version = station->version,
                               .offset_s = terminal->offset_minutes * 60,
                               .crc = crc_of(terminal)};
}

/* Asks for the first in the list, if nothing is under way. */
static void fetch_next(struct connection *connection, struct station *station, const struct terminal *terminal) {
    char request[HJ212_ANSWER_MAX];
    if (station->count == 0 || station->asked_at != 0 || station->st[0] == '\0') {
        return;
    }
    const struct fetch *fetch = &station->list[0];
    const struct hj212_peer peer = peer_of(station, terminal);
    size_t length = hj212_fetch(&peer, fetch->command, fetch->begin_ms, fetch->end_ms, clock_now_ms(), request);
    log_info("hj212_fetch", "mn=%s command=%d begin_ms=%lld end_ms=%lld", log_quote(station->mn), fetch->command,
             (long long)fetch->begin_ms, (long long)fetch->end_ms);
    station->asked_at = (uint64_t)clock_steady_ms();
    connection_send(connection, request, length);
}

static void fetch_over(struct station *station, size_t count) {
    station->asked_at = 0;
    station->count -= count;
    memmove(station->list, station->list + count, station->count * sizeof *station->list);
}

/* ---- keys ---- */

/* Something of a terminal's key, for the hub. NULL = memory is out. */
static cJSON *key_letter(const struct terminal *terminal, const char *member, cJSON *value) {
    cJSON *letter = cJSON_CreateObject(), *key = cJSON_AddObjectToObject(letter, "key");
    cJSON_AddStringToObject(key, "identity", terminal->identity);
    if (key == NULL || !cJSON_AddItemToObject(key, member, value)) {
        cJSON_Delete(value);
        cJSON_Delete(letter);
        return NULL;
    }
    return letter;
}

/* It uses its new key: from here on the old one opens nothing, as soon as the hub has noted it. */
static void key_used(struct upstream *upstream, struct station *station, const struct terminal *terminal,
                     uint64_t now) {
    if (station->keyed_at != 0 && now - station->keyed_at < KEY_AGAIN_MS) {
        return;
    }
    cJSON *letter = key_letter(terminal, "used_ms", cJSON_CreateNumber((double)terminal->sm4_next_ms));
    if (letter != NULL && upstream_letter(upstream, letter, NULL) == 0) {
        log_info("hj212_key", "mn=%s state=used", log_quote(station->mn));
        station->keyed_at = now;
    }
}

/* It asks for a new key: answered when the hub has noted that, and given one as a command. */
static void ask_key(struct connection *connection, const struct hj212_frame *frame, const struct terminal *terminal) {
    struct holding *holding = holding_new(connection);
    char answer[HJ212_ANSWER_MAX];
    if (holding == NULL) {
        connection_count(connection, FRAME_UNSURE);
        return;
    }
    put_answer(holding_stored(holding), frame, terminal);
    buffer_bytes(holding_refused(holding), answer, hj212_refuse(frame, HJ212_REFUSED, crc_of(terminal), answer));
    cJSON *letter = key_letter(terminal, "asked", cJSON_CreateTrue());
    holding_seal(holding, letter != NULL && holding_letter(holding, letter) == 0);
}

static size_t tell_key(const struct hj212_peer *peer, const struct terminal *terminal, int64_t now_ms,
                       char request[static HJ212_ANSWER_MAX]) {
    const struct hj212_keys keys = {
        .now = terminal->sm4_key, .next = terminal->sm4_next, .made_ms = terminal->sm4_next_ms};
    return terminal->has_key && terminal->has_next ? hj212_new_key(peer, &keys, now_ms, request) : 0;
}

/* ---- commands ---- */

static bool may_tell(struct connection *connection) {
    const struct station *station = *connection_state(connection);
    return station != NULL && station->st[0] != '\0' && station->asked_at == 0;
}

static void tell(struct connection *connection, struct station *station, const struct terminal *terminal,
                 const cJSON *what) {
    char request[HJ212_ANSWER_MAX];
    const struct hj212_peer peer = peer_of(station, terminal);
    const struct command_name name = command_name_of(what);
    int64_t now_ms = clock_now_ms();
    const cJSON *command = member_get(what, "command");
    size_t length = strcmp(member_text(command, "kind"), "new_key") == 0 ? tell_key(&peer, terminal, now_ms, request)
                                                                         : hj212_tell(&peer, command, now_ms, request);
    if (length == 0) {
        upstream_settle(connection_parts(connection)->upstream, name, COMMAND_FAILED, NULL);
        return;
    }
    log_info("hj212_command", "mn=%s command=%lld", log_quote(station->mn), (long long)name.id);
    station->telling = name;
    station->asked_ms = now_ms;
    station->asked_at = (uint64_t)clock_steady_ms();
    connection_send(connection, request, length);
    secret_wipe(request, sizeof request);
}

/* What a frame says to the command that is under way. One that has no end in time is over: the hub's own clock says so.
 */
static void listen_to(struct upstream *upstream, struct station *station, const struct hj212_frame *frame,
                      const struct terminal *terminal, uint64_t now) {
    cJSON *answer = cJSON_CreateObject();
    enum hj212_told said = hj212_is_answer(frame, station->asked_ms, terminal->offset_minutes * 60)
                               ? hj212_told(frame, answer)
                               : HJ212_TOLD_NOTHING;
    if (said != HJ212_TOLD_NOTHING) {
        upstream_settle(upstream, station->telling,
                        said == HJ212_TOLD_DONE     ? COMMAND_ACKNOWLEDGED
                        : said == HJ212_TOLD_FAILED ? COMMAND_FAILED
                                                    : COMMAND_SENT,
                        answer);
    } else {
        cJSON_Delete(answer);
    }
    if (said == HJ212_TOLD_DONE || said == HJ212_TOLD_FAILED || now - station->asked_at >= FETCH_WAIT_MS) {
        station->telling = (struct command_name){0};
        station->asked_at = 0;
    }
}

/* Whether a frame is no more than what a command asked for: its value goes to the hub with the command. One that wants
 * to be acknowledged is stored as any other. */
static bool is_value(struct connection *connection, const struct hj212_frame *frame, const struct terminal *terminal) {
    const struct station *station = *connection_state(connection);
    return station != NULL && station->telling.id != 0 && !frame->ack && hj212_is_setting(frame) &&
           hj212_is_answer(frame, station->asked_ms, terminal->offset_minutes * 60);
}

/* After each of its frames: what it was asked for has ended, or another is due. `renewed`: it came by its new key. */
static void look_after(struct connection *connection, const struct hj212_frame *frame, const struct terminal *terminal,
                       bool renewed) {
    struct station *station = station_of(connection, frame);
    const struct connections_parts *parts = connection_parts(connection);
    uint64_t now = (uint64_t)clock_steady_ms();
    if (station == NULL) {
        return;
    }
    if (renewed) {
        key_used(parts->upstream, station, terminal, now);
    }
    const char *told = hj212_value(frame, "QnRtn");
    bool refused = frame->command == REQUEST_ANSWER && told != NULL && strcmp(told, "1") != 0;
    if (station->telling.id != 0) {
        listen_to(parts->upstream, station, frame, terminal, now);
    } else if (station->asked_at != 0 &&
               (refused || frame->command == REQUEST_END || now - station->asked_at >= FETCH_WAIT_MS)) {
        fetch_over(station, refused ? station->count : 1);
    }
    if (parts->config->gateway_history_s > 0 && now >= station->ask_at && station->count == 0) {
        station->ask_at = now + HISTORY_AGAIN_MS;
        upstream_ask_history(parts->upstream, terminal);
    }
    fetch_next(connection, station, terminal);
}

static void told(struct connection *connection, const cJSON *what) {
    struct station *station = *connection_state(connection);
    const cJSON *fetch = member_get(what, "fetch");
    const struct upstream *upstream = connection_parts(connection)->upstream;
    const struct terminal *terminal =
        station == NULL ? NULL : terminals_find(upstream_terminals(upstream), "hj212", station->mn);
    if (terminal != NULL && member_get(what, "command") != NULL) {
        tell(connection, station, terminal, what);
        return;
    }
    if (fetch == NULL || terminal == NULL || station->count == FETCHES_MAX ||
        strcmp(station->mn, member_text(what, "identity")) != 0) {
        return;
    }
    station->list[station->count++] = (struct fetch){.command = (int)member_number(fetch, "command", 0),
                                                     .begin_ms = (int64_t)member_number(fetch, "begin_ms", 0),
                                                     .end_ms = (int64_t)member_number(fetch, "end_ms", 0)};
    fetch_next(connection, station, terminal);
}

/* ---- what is stored ---- */

/* Its records, to the hub. False: something of it could not be put. */
static bool put_records(struct holding *holding, const struct terminal *terminal, const cJSON *telemetry,
                        const cJSON *intervals) {
    const struct {
        enum topic_kind kind;
        const cJSON *records;
    } parts[] = {{TOPIC_TELEMETRY, telemetry}, {TOPIC_INTERVAL, intervals}};
    bool whole = true;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        whole &= cJSON_GetArraySize(parts[i].records) == 0 ||
                 holding_put(holding, terminal, topic_words[parts[i].kind], parts[i].records) == 0;
    }
    return whole;
}

static void store(struct connection *connection, const struct hj212_frame *frame, const struct terminal *terminal,
                  const char *bytes, size_t length) {
    const struct hj212_dialect *dialect = dialects_hj212(connection_parts(connection)->dialects, terminal);
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    struct hj212_outcome outcome = {0};
    const struct hj212_origin origin = {
        .dialect = dialect, .device_code = terminal->device, .offset_minutes = terminal->offset_minutes};
    int code = dialect == NULL ? CH_ENOTFOUND : hj212_records(frame, &origin, telemetry, intervals, &outcome);
    unsigned made = outcome.readings + outcome.intervals;
    if (code == 0 && made == 0 && outcome.left_over == 0) { /* it says nothing to be stored */
        struct buffer answer = {0};
        put_answer(&answer, frame, terminal);
        connection_send(connection, answer.data, answer.length);
        buffer_free(&answer);
        connection_count(connection, FRAME_ANSWERED);
    } else if (code == CH_ENOTFOUND || code == CH_EMEMORY) {
        connection_count(connection, FRAME_UNSURE);
    } else {
        if (outcome.left_over > 0) {
            log_info("hj212_left_over", "mn=%s values=%u first=%s", log_quote(frame->mn), outcome.left_over,
                     log_quote(outcome.first_left_over));
        }
        if (made == 0) { /* kept as it is, in quarantine */
            raw_record(telemetry, terminal, bytes, length);
        }
        struct holding *holding = holding_new(connection);
        if (holding == NULL) {
            connection_count(connection, FRAME_UNSURE);
        } else {
            put_answer(holding_stored(holding), frame, terminal);
            holding_seal(holding, put_records(holding, terminal, telemetry, intervals));
        }
    }
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
}

/* What is encrypted is read anew with the key of whom it says that it is, or with the one that it is to have: true if
 * that is it. */
static bool unlock(struct connection *connection, const char *bytes, size_t length, struct hj212_frame *frame) {
    char mn[TERMINAL_IDENTITY_MAX];
    if ((frame->faults & HJ212_LOCKED) == 0 || frame->mn == NULL || strlen(frame->mn) >= sizeof mn) {
        return false;
    }
    memcpy(mn, frame->mn, strlen(frame->mn) + 1);
    const struct terminal *terminal =
        terminals_find(upstream_terminals(connection_parts(connection)->upstream), "hj212", mn);
    if (terminal != NULL && terminal->has_key) {
        hj212_parse(bytes, length, terminal->sm4_key, frame);
    }
    if (terminal == NULL || !terminal->has_next || (frame->faults & HJ212_LOCKED) == 0) {
        return false;
    }
    hj212_parse(bytes, length, terminal->sm4_next, frame);
    return (frame->faults & HJ212_LOCKED) == 0;
}

static void take(struct connection *connection, const char *bytes, size_t length) {
    static struct hj212_frame frame; /* large; the loop has one thread */
    hj212_parse(bytes, length, NULL, &frame);
    bool renewed = unlock(connection, bytes, length, &frame);
    const struct terminal *terminal = sender(connection, &frame, bytes, length);
    if (terminal != NULL) {
        connection_heard(connection);
        connection_claim(connection, frame.mn);
        if (is_value(connection, &frame, terminal)) {
            connection_count(connection, FRAME_ANSWERED);
        } else if (frame.command == NEW_KEY) {
            ask_key(connection, &frame, terminal);
        } else {
            store(connection, &frame, terminal, bytes, length);
        }
        look_after(connection, &frame, terminal, renewed);
    }
}

const struct speech speech_hj212 = {.name = "hj212",
                                    .port = port,
                                    .frame_max = HJ212_FRAME_MAX,
                                    .read = next_frame,
                                    .take = take,
                                    .told = told,
                                    .may_tell = may_tell,
                                    .release = release};
