/* fuzz_jt808_parts.c: any sequence of sub-packets and waits. The input is steps: a byte says which, the next ones its
 * numbers. What is kept never exceeds the bound, a whole message is the pieces that were given last with each number,
 * in order, and what is missing is never here. */
#include "fuzz.h"
#include "hub/gateway/jt808_parts.h"

enum { BYTES_MAX = 3000, PHONES = 2, IDS = 3, PACKETS = 8 };

/* What was given last, by terminal, message and number of packets: lengths and a byte each. */
struct model {
    uint8_t filling[PHONES][IDS][PACKETS + 1][PACKETS + 1];
    uint16_t length[PHONES][IDS][PACKETS + 1][PACKETS + 1];
};

static struct jt808_frame frame;

static void check_whole(const struct model *model, unsigned phone, unsigned id, unsigned packets,
                        const struct jt808_whole *whole) {
    size_t at = 0;
    REQUIRE(whole->packets == packets && whole->id == frame.id);
    for (unsigned number = 1; number <= packets; number++) {
        for (unsigned i = 0; i < model->length[phone][id][packets][number]; i++) {
            REQUIRE(at < whole->length && whole->body[at++] == model->filling[phone][id][packets][number]);
        }
    }
    REQUIRE(at == whole->length);
}

static void add(struct jt808_parts *parts, struct model *model, const uint8_t *step, int64_t now_ms) {
    unsigned phone = step[1] % PHONES, id = step[1] / PHONES % IDS, packets = step[2] % (PACKETS + 1),
             number = step[3] % (PACKETS + 2);
    struct jt808_whole whole;
    frame = (struct jt808_frame){
        .standing = JT808_GOOD, .has_header = true, .is_packet = true, .id = (uint16_t)(0x0800 + id)};
    snprintf(frame.phone, sizeof frame.phone, "%012u", phone);
    /* Step 255: more packets than are ever sent here. */
    frame.packets = step[0] == 255 ? (uint16_t)(PACKETS + 1 + (step[2] << 8 | step[3]) % 60000) : (uint16_t)packets;
    frame.packet_number = (uint16_t)number;
    frame.length = step[4] * 4;
    memset(frame.body, step[5], frame.length);
    int code = jt808_parts_add(parts, &frame, now_ms, &whole);
    if (number >= 1 && number <= packets && frame.packets == packets) {
        model->filling[phone][id][packets][number] = step[5];
        model->length[phone][id][packets][number] = (uint16_t)frame.length;
    }
    REQUIRE(code == JT808_PART_KEPT || code == JT808_PART_AGAIN || code == JT808_PART_WHOLE ||
            code == JT808_PART_REFUSED);
    REQUIRE((code == JT808_PART_REFUSED) == (whole.why != NULL));
    if (code == JT808_PART_WHOLE) {
        REQUIRE(frame.packets == packets);
        check_whole(model, phone, id, packets, &whole);
    }
}

static void wait(struct jt808_parts *parts, int64_t now_ms) {
    struct jt808_missing missing;
    for (unsigned rounds = 0; jt808_parts_missing(parts, now_ms, 1000, 2, &missing); rounds++) {
        REQUIRE(rounds < JT808_SETS_MAX && missing.count > 0 && missing.count <= JT808_MISSING_MAX);
        for (size_t i = 0; i < missing.count; i++) {
            REQUIRE(missing.numbers[i] >= 1 && (i == 0 || missing.numbers[i] > missing.numbers[i - 1]));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { STEP = 6 };
    struct jt808_parts *parts = jt808_parts_new(BYTES_MAX);
    struct model *model = calloc(1, sizeof *model);
    REQUIRE(parts != NULL && model != NULL);
    int64_t now_ms = 0;
    for (; size >= STEP; data += STEP, size -= STEP) {
        if (data[0] % 8 == 7 && data[0] != 255) {
            now_ms += data[1] * 16;
            wait(parts, now_ms);
        } else {
            add(parts, model, data, now_ms);
        }
        REQUIRE(jt808_parts_bytes(parts) <= BYTES_MAX);
    }
    jt808_parts_free(parts);
    free(model);
    return 0;
}
