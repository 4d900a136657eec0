/* hj212_tell.h: commands of the hub (终端指令) as requests of HJ 212, and what devices answer as JSON. Pure. */
#ifndef CITYHUB_GATEWAY_HJ212_TELL_H
#define CITYHUB_GATEWAY_HJ212_TELL_H

#include "hub/gateway/hj212.h"

/* The request of a command, {"kind": "clock"}, {"kind": "set_clock"}, {"kind": "interval", "data": "realtime" or
 * "minute"}, {"kind": "set_interval", "data", "interval"} or {"kind": "history", "data": "minute", "hour" or "day",
 * "begin_ms", "end_ms"}. `now_ms` makes its QN. The bytes written, 0 = it is none of these. */
size_t hj212_tell(const struct hj212_peer *peer, const cJSON *command, int64_t now_ms,
                  char out[static HJ212_ANSWER_MAX]);

/* Whether the frame's QN, which 2005 has in the content, is that of a request made at `asked_ms`. Of a frame without
 * QN, its being an answer to a request is enough: no more than one is under way. */
bool hj212_is_answer(const struct hj212_frame *frame, int64_t asked_ms, int offset_s);

/* Whether it is the value of 1011, 1061 or 1063, by its command. */
bool hj212_is_setting(const struct hj212_frame *frame);

enum hj212_told {
    HJ212_TOLD_NOTHING, /* no answer to a command */
    HJ212_TOLD_MORE,    /* taken, or what was asked for; the end is to come */
    HJ212_TOLD_DONE,
    HJ212_TOLD_FAILED,
};

/* What a frame that is an answer says: 9011, 9012, or the value of 1011, 1061 or 1063. What it says is put into the
 * object `answer` by the standard's names. */
enum hj212_told hj212_told(const struct hj212_frame *frame, cJSON *answer);

#endif
