/* hj212_decode.c: frames of HJ 212 shown to people, with the names and values that the devices sent. Must never show a
 * password or a key. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/gateway/hj212_wire.h"

enum { NAME_MAX_BYTES = 512 };

/* The key of the examples in HJ 212-2025, annex A. */
static const uint8_t example_key[HJ212_KEY_BYTES] = "0000000000000000";

/* ---- the line: \r \n \t \\ and \xNN are single bytes */

static size_t unescape(const char *line, size_t length, char *bytes) {
    static const char letters[] = "rnt\\", meant[] = "\r\n\t\\";
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        const char *letter =
            line[i] == '\\' && i + 1 < length ? memchr(letters, line[i + 1], sizeof letters - 1) : NULL;
        if (letter != NULL) {
            bytes[count++] = meant[letter - letters];
            i += 1;
        } else if (line[i] == '\\' && i + 3 < length && line[i + 1] == 'x' && hj212_is_hex(line + i + 2, 2)) {
            char digits[HJ212_CRC_DIGITS] = {'0', '0', line[i + 2], line[i + 3]};
            bytes[count++] = (char)hj212_hex(digits);
            i += 3;
        } else {
            bytes[count++] = line[i];
        }
    }
    return count;
}

/* ---- one frame */

/* What is being written: an object, and what each name begins with there, such as "2.". */
struct show {
    cJSON *out;
    char prefix[16];
    int code; /* 0 or CH_EMEMORY */
};

static void put(struct show *show, const char *name, const char *value) {
    char key[NAME_MAX_BYTES];
    snprintf(key, sizeof key, "%s%.480s", show->prefix, name);
    int code = value == NULL ? 0 : member_put(show->out, key, cJSON_CreateString(value));
    show->code = code == 0 ? show->code : code;
}

/* An item: under its own name, or, if that is taken, behind cp. Not a PW, which a header behind its content has too. */
static void put_item(struct show *show, const struct hj212_item *item) {
    char key[NAME_MAX_BYTES];
    if (strcasecmp(item->name, "PW") == 0) {
        return;
    }
    snprintf(key, sizeof key, "%s%.400s", show->prefix, item->name);
    bool taken = member_get(show->out, key) != NULL;
    snprintf(key, sizeof key, "%s%.400s", taken ? "cp." : "", item->name);
    put(show, key, item->value);
}

static void put_check(struct show *show, const struct hj212_frame *frame) {
    char text[40];
    snprintf(text, sizeof text, (size_t)frame->declared == frame->actual ? "%d" : "%d/actual=%zu", frame->declared,
             frame->actual);
    put(show, "len", text);
    if ((frame->faults & HJ212_CRC_MISSING) != 0) {
        return;
    }
    bool right = frame->crc == HJ212_CRC_STANDARD;
    snprintf(text, sizeof text, "%s", frame->crc_sent);
    for (char *letter = text; right && *letter != '\0'; letter++) {
        *letter = (char)toupper((unsigned char)*letter);
    }
    if (!right && (frame->faults & HJ212_LOCKED) == 0) {
        snprintf(text, sizeof text, "%s/calc=%04X", frame->crc_sent, frame->crc_calculated);
    }
    put(show, "crc", text);
}

static void put_header(struct show *show, const struct hj212_frame *frame) {
    put(show, "QN", frame->qn);
    put(show, "ST", frame->st);
    put(show, "CN", frame->cn);
    put(show, "MN", frame->mn);
    put(show, "Flag", frame->flag);
    put(show, "PNUM", frame->pnum);
    put(show, "PNO", frame->pno);
    for (size_t i = 0; i < frame->other_count; i++) {
        put_item(show, &frame->others[i]);
    }
    char version[12];
    snprintf(version, sizeof version, "%d", frame->version);
    put(show, "version", frame->version == 0 ? "unknown" : version);
    put(show, "ack", frame->ack ? "yes" : "no");
    put(show, "split", frame->has_flag ? frame->split ? "yes" : "no" : NULL);
}

/* A frame's values. Of a vendor's own frame, which has none of HJ 212's, nothing. */
static void put_frame(struct show *show, const struct hj212_frame *frame) {
    unsigned none = HJ212_CRC_MISSING | HJ212_NO_IDENTITY | HJ212_NO_SYSTEM | HJ212_NO_COMMAND;
    if ((frame->faults & none) == none) {
        return;
    }
    put_check(show, frame);
    put_header(show, frame);
    for (size_t i = 0; i < frame->item_count; i++) {
        put_item(show, &frame->items[i]);
    }
    if ((frame->faults & HJ212_GBK) != 0) {
        put(show, "encoding", "gbk");
    }
    if (frame->encryption != HJ212_PLAIN) {
        put(show, "encrypted", "sm4-ecb");
        put(show, "key", frame->encryption == HJ212_DECRYPTED ? "16 x 0x30" : NULL);
    }
}

/* ---- all of a line */

struct line {
    const char *bytes;
    size_t length;
    int frames, cut;         /* frames, and beginnings of frames that have no end */
    bool cut_first;          /* one of those stands before the first frame */
    const char *cut_bytes;   /* the first of them */
    size_t cut_length, junk; /* its bytes; bytes that belong to no frame */
    struct hj212_frame frame;
    char why[2 * HJ212_REASON_MAX], note[2 * HJ212_REASON_MAX];
};

/* Appends words to `text`, behind a semicolon if there are some already. */
static void append(char *text, size_t size, const char *words) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used == 0 || *words == '\0' ? "" : "; ", words);
}

/* Counts what the reader passes over. */
static void count_skipped(struct line *line, const char *bytes, const struct reading_result *result) {
    if (result->why == NULL) {
        return;
    }
    if (result->length < HJ212_HEAD || strncmp(bytes, "##", 2) != 0) {
        line->junk += result->length;
        return;
    }
    line->cut_first = line->cut_first || line->frames == 0;
    if (line->cut++ == 0) {
        line->cut_bytes = bytes;
        line->cut_length = result->length;
    }
}

/* The next frame's bytes; false at the end. */
static bool next_frame(struct line *line, size_t *at, struct reading_result *result) {
    while (*at < line->length) {
        const char *bytes = line->bytes + *at;
        enum reading reading = hj212_read(bytes, line->length - *at, true, result);
        if (reading == READING_MORE) {
            line->junk += line->length - *at;
            break;
        }
        *at += result->length;
        if (reading == READING_FRAME) {
            line->frames++;
            return true;
        }
        count_skipped(line, bytes, result);
    }
    return false;
}

static void show_frame(struct line *line, struct show *show, const char *bytes, size_t length) {
    char words[HJ212_REASON_MAX];
    hj212_parse(bytes, length, example_key, &line->frame);
    put_frame(show, &line->frame);
    append(line->why, sizeof line->why, hj212_why(&line->frame, words));
    append(line->note, sizeof line->note, hj212_note(&line->frame, words));
}

static void explain(struct line *line, struct show *show) {
    char words[HJ212_REASON_MAX];
    if (line->frames == 0 && line->cut > 0) {
        show_frame(line, show, line->cut_bytes, line->cut_length);
    } else if (line->frames == 0) {
        append(line->why, sizeof line->why, "no frame: ## and 4 digits are missing");
    } else if (line->cut > 0) {
        append(line->why, sizeof line->why, line->cut_first ? "first frame is truncated" : "last frame is truncated");
    }
    if (line->junk > 0 && line->frames > 0) {
        snprintf(words, sizeof words, "%zu bytes beside the frame", line->junk);
        append(line->note, sizeof line->note, words);
    }
}

static void put_number(struct show *show, const char *name, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    put(show, name, text);
}

static int finish(const struct line *line, struct show *show) {
    bool valid = line->why[0] == '\0';
    show->prefix[0] = '\0';
    if (line->frames > 1 || (line->frames > 0 && line->cut > 0)) {
        put_number(show, "frames", line->frames);
    }
    if (line->frames > 0 && line->cut > 0) {
        put_number(show, "discarded", line->cut);
    }
    int code = member_put(show->out, "valid", cJSON_CreateBool(valid));
    put(show, "why", valid ? NULL : line->why);
    put(show, "note", line->note[0] == '\0' ? NULL : line->note);
    return code != 0 ? code : show->code;
}

static int decode_bytes(struct line *line, cJSON *out) {
    struct show show = {.out = out};
    struct line counted = {.bytes = line->bytes, .length = line->length};
    struct reading_result result = {0};
    size_t at = 0;
    while (next_frame(&counted, &at, &result)) {
    }
    at = 0;
    while (next_frame(line, &at, &result)) {
        if (counted.frames > 1) {
            snprintf(show.prefix, sizeof show.prefix, "%d.", line->frames);
        }
        show_frame(line, &show, line->bytes + at - result.length, result.length);
    }
    show.prefix[0] = '\0';
    explain(line, &show);
    return finish(line, &show);
}

int hj212_decode_line(const char *line, size_t length, cJSON *out) {
    struct line *shown = calloc(1, sizeof *shown);
    char *bytes = malloc(length + 1);
    int code = CH_EMEMORY;
    if (shown != NULL && bytes != NULL) {
        shown->bytes = bytes;
        shown->length = unescape(line, length, bytes);
        code = decode_bytes(shown, out);
    }
    free(bytes);
    free(shown);
    return code;
}
