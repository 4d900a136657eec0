/* hj212_answer.c: what is sent to devices that speak HJ 212: answers and commands. Must never answer an answer, nor
 * echo what would break a frame. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/secret.h"
#include "hub/gateway/hj212_wire.h"

enum {
    ANSWER_FIRST = 9011,
    ANSWER_LAST = 9014,
    NOTICE_ANSWER = 9013,
    DATA_ANSWER = 9014,
    REQUEST_ANSWER = 9011,
    SYSTEM_INTERACTION = 91, /* ST of answers */
    SET_CLOCK = 1012,
    NEW_KEY = 1014,
    SECOND_MS = 1000,
    VERSION_SHIFT = 2,
    STAMP_MAX = 20, /* YYYYMMDDhhmmsszzz and its end */
};

/* ---- times */

static int number_of(const char *digits, size_t count) {
    int number = 0;
    for (size_t i = 0; i < count; i++) {
        number = number * 10 + (digits[i] - '0');
    }
    return number;
}

int hj212_time(const char *text, int offset_s, int64_t *ms) {
    enum { EPOCH_DIGITS = 13, WHOLE = 14, MOST = 18 };
    size_t digits = strspn(text, "0123456789");
    if (digits == EPOCH_DIGITS) {
        *ms = (int64_t)number_of(text, 7) * 1000000 + number_of(text + 7, 6);
        return 0;
    }
    if (digits < WHOLE || digits > MOST) {
        return CH_EINVAL;
    }
    struct tm parts = {.tm_year = number_of(text, 4) - 1900,
                       .tm_mon = number_of(text + 4, 2) - 1,
                       .tm_mday = number_of(text + 6, 2),
                       .tm_hour = number_of(text + 8, 2),
                       .tm_min = number_of(text + 10, 2),
                       .tm_sec = number_of(text + 12, 2)};
    struct tm wanted = parts;
    time_t seconds = timegm(&parts);
    /* timegm makes the 1st of March of the 30th of February: what it changed was no time. */
    if (parts.tm_year != wanted.tm_year || parts.tm_mon != wanted.tm_mon || parts.tm_mday != wanted.tm_mday ||
        parts.tm_hour != wanted.tm_hour || parts.tm_min != wanted.tm_min || parts.tm_sec != wanted.tm_sec) {
        return CH_EINVAL;
    }
    int fraction = 0, unit = 100;
    for (size_t i = WHOLE; i < digits && i < WHOLE + 3; i++, unit /= 10) {
        fraction += (text[i] - '0') * unit;
    }
    *ms = ((int64_t)seconds - offset_s) * SECOND_MS + fraction;
    return 0;
}

/* YYYYMMDDhhmmss, with milliseconds if `fine`, on the device's clock. Returns `stamp`. */
static const char *stamp_of(int64_t ms, int offset_s, bool fine, char stamp[static STAMP_MAX]) {
    time_t seconds = (time_t)(ms / SECOND_MS + offset_s);
    struct tm parts;
    size_t length = gmtime_r(&seconds, &parts) == NULL ? 0 : strftime(stamp, STAMP_MAX, "%Y%m%d%H%M%S", &parts);
    if (fine) {
        snprintf(stamp + length, STAMP_MAX - length, "%03d", (int)(ms % SECOND_MS));
    }
    return stamp;
}

/* ---- frames */

struct message {
    const char *qn, *st, *pw, *mn; /* NULL = is left out */
    int command, flag;
    const char *content;
    const uint8_t *key; /* encrypts the content, NULL = it goes as it is */
};

/* Whether a value that a device sent may stand in a frame to it. */
static bool is_plain(const char *text) {
    return text != NULL &&
           text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.")] == '\0';
}

static size_t add_field(char *segment, size_t used, const char *name, const char *value) {
    if (!is_plain(value)) {
        return used;
    }
    int wanted = snprintf(segment + used, HJ212_ANSWER_MAX - used, "%s=%s;", name, value);
    return used + (size_t)wanted < HJ212_ANSWER_MAX ? used + (size_t)wanted : HJ212_ANSWER_MAX;
}

static size_t build(const struct message *message, enum hj212_crc crc, char out[static HJ212_ANSWER_MAX]) {
    char segment[HJ212_ANSWER_MAX], number[8];
    size_t used = add_field(segment, 0, "QN", message->qn);
    used = add_field(segment, used, "ST", message->st);
    snprintf(number, sizeof number, "%d", message->command);
    used = add_field(segment, used, "CN", number);
    used = add_field(segment, used, "PW", message->pw);
    used = add_field(segment, used, "MN", message->mn);
    if (used >= sizeof segment) {
        return 0;
    }
    int rest = snprintf(segment + used, sizeof segment - used, "Flag=%d;CP=&&%s&&", message->flag, message->content);
    used += (size_t)rest;
    if (used + HJ212_HEAD + HJ212_CRC_DIGITS + 3 > sizeof segment) {
        return 0;
    }
    uint16_t check = hj212_crc(crc, segment, used);
    if (message->key == NULL) {
        return (size_t)snprintf(out, HJ212_ANSWER_MAX, "##%04zu%s%04X\r\n", used, segment, check);
    }
    char cipher[HJ212_ANSWER_MAX];
    int begin = (int)(used - strlen(message->content)) - 2;
    int length = hj212_encrypt(message->content, message->key, cipher, sizeof cipher) == 0
                     ? 0
                     : snprintf(out, HJ212_ANSWER_MAX, "##%04zu%.*s%s&&%04X\r\n", used, begin, segment, cipher, check);
    secret_wipe(segment, sizeof segment);
    return length < HJ212_ANSWER_MAX ? (size_t)length : 0;
}

/* Flag's bits of a version; the first two are free. */
static int flag_of(int version) {
    return version == 2005 ? 0 : version == 2017 ? 1 << VERSION_SHIFT : 2 << VERSION_SHIFT;
}

static bool is_answer(int command) {
    return command >= ANSWER_FIRST && command <= ANSWER_LAST;
}

/* What is told and not asked: ask for the clock or a new key, stop watching, stop telling states, heartbeat. */
static bool is_notice(int command) {
    return command == 1013 || command == 2012 || command == 2022 || command == 9015 || command == NEW_KEY;
}

/* Whose answer does not hang on Flag: a device goes on asking for its clock, and gives up a link without heartbeats. */
static bool is_always_answered(int command) {
    return command == 1013 || command == 9015;
}

static bool wants_answer(const struct hj212_frame *frame) {
    return frame->command != 0 && !is_answer(frame->command) && (frame->ack || is_always_answered(frame->command));
}

/* HJ/T 212-2005 names what is answered in the content, QN and, of data, CN; later editions QN in the header. Devices
 * set Flag as in 2005 and look for either: such a one is told both. */
static void name_request(const struct hj212_frame *frame, int command, const char *more,
                         char content[static HJ212_ANSWER_MAX]) {
    bool named = frame->version == 2005 && is_plain(frame->qn) && strlen(frame->qn) < STAMP_MAX;
    char data[16] = "";
    if (command == DATA_ANSWER) {
        snprintf(data, sizeof data, ";CN=%d", frame->command);
    }
    if (named) {
        snprintf(content, HJ212_ANSWER_MAX, "QN=%s%s%s%s", frame->qn, data, *more != '\0' ? ";" : "", more);
    } else {
        snprintf(content, HJ212_ANSWER_MAX, "%s", more);
    }
}

static size_t answer(const struct hj212_frame *frame, int command, const char *more, enum hj212_crc crc,
                     char out[static HJ212_ANSWER_MAX]) {
    char system[4], content[HJ212_ANSWER_MAX];
    snprintf(system, sizeof system, "%d", SYSTEM_INTERACTION);
    name_request(frame, command, more, content);
    struct message message = {.qn = frame->qn,
                              .st = system,
                              .pw = frame->pw,
                              .mn = frame->mn,
                              .command = command,
                              .flag = flag_of(frame->version),
                              .content = content};
    return wants_answer(frame) ? build(&message, crc, out) : 0;
}

size_t hj212_answer(const struct hj212_frame *frame, enum hj212_crc crc, char out[static HJ212_ANSWER_MAX]) {
    return answer(frame, is_notice(frame->command) ? NOTICE_ANSWER : DATA_ANSWER, "", crc, out);
}

size_t hj212_refuse(const struct hj212_frame *frame, enum hj212_return why, enum hj212_crc crc,
                    char out[static HJ212_ANSWER_MAX]) {
    char content[16];
    snprintf(content, sizeof content, "QnRtn=%d", (int)why);
    return answer(frame, REQUEST_ANSWER, content, crc, out);
}

/* ---- commands */

size_t hj212_request(const struct hj212_peer *peer, int command, const char *content, int64_t now_ms,
                     char out[static HJ212_ANSWER_MAX]) {
    char qn[STAMP_MAX];
    struct message message = {.qn = stamp_of(now_ms, peer->offset_s, true, qn),
                              .st = peer->st,
                              .pw = peer->pw,
                              .mn = peer->mn,
                              .command = command,
                              .flag = flag_of(peer->version) | 1,
                              .content = content};
    return build(&message, peer->crc, out);
}

size_t hj212_set_clock(const struct hj212_peer *peer, const char *pollutant, int64_t now_ms,
                       char out[static HJ212_ANSWER_MAX]) {
    char stamp[STAMP_MAX], content[96];
    bool named = is_plain(pollutant) && *pollutant != '\0' && strlen(pollutant) <= 32;
    snprintf(content, sizeof content, "%s%s%sSystemTime=%s", named ? "PolId=" : "", named ? pollutant : "",
             named ? "," : "", stamp_of(now_ms, peer->offset_s, false, stamp));
    return hj212_request(peer, SET_CLOCK, content, now_ms, out);
}

size_t hj212_fetch(const struct hj212_peer *peer, int command, int64_t begin_ms, int64_t end_ms, int64_t now_ms,
                   char out[static HJ212_ANSWER_MAX]) {
    char begin[STAMP_MAX], end[STAMP_MAX], content[96];
    if (command != 2011 && command != 2031 && command != 2051 && command != 2061) {
        return 0;
    }
    snprintf(content, sizeof content, "BeginTime=%s,EndTime=%s", stamp_of(begin_ms, peer->offset_s, false, begin),
             stamp_of(end_ms, peer->offset_s, false, end));
    return hj212_request(peer, command, content, now_ms, out);
}

size_t hj212_new_key(const struct hj212_peer *peer, const struct hj212_keys *keys, int64_t now_ms,
                     char out[static HJ212_ANSWER_MAX]) {
    char stamp[STAMP_MAX], qn[STAMP_MAX], next[HJ212_KEY_BYTES + 1] = "", content[96];
    memcpy(next, keys->next, HJ212_KEY_BYTES);
    snprintf(content, sizeof content, "SKCreateTime=%s,NewSK=%s", stamp_of(keys->made_ms, peer->offset_s, true, stamp),
             next);
    struct message message = {.qn = stamp_of(now_ms, peer->offset_s, true, qn),
                              .st = peer->st,
                              .pw = peer->pw,
                              .mn = peer->mn,
                              .command = NEW_KEY,
                              .flag = flag_of(2025) | 1,
                              .content = content,
                              .key = keys->now};
    size_t length = is_plain(next) && strlen(next) == HJ212_KEY_BYTES ? build(&message, peer->crc, out) : 0;
    secret_wipe(next, sizeof next);
    secret_wipe(content, sizeof content);
    return length;
}
