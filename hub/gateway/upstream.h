/* upstream.h: the gateway's own session at the broker: the list of terminals comes down by it, figures and unknown
 * terminals go up, and what devices said goes to the hub. The broker is all that a gateway needs in reach. */
#ifndef CITYHUB_UPSTREAM_H
#define CITYHUB_UPSTREAM_H

#include <uv.h>

#include "hub/base/config.h"
#include "hub/gateway/commands.h"
#include "hub/gateway/pending.h"
#include "hub/gateway/publisher.h"
#include "hub/gateway/terminal.h"

struct upstream;

struct upstream_events {
    void (*ready)(void *user);   /* messages can be published. NULL = ignore */
    void (*changed)(void *user); /* there is another list of terminals. NULL = ignore */
    /* The hub says something to terminals, [{"protocol", "identity", ...}], each with one of "fetch": {"command",
     * "begin_ms", "end_ms"}: HJ 212, ask for what is missing; "offer": a command's number, see upstream_want;
     * "command": {"id", "take", "kind", ...}: that it took. NULL = ignore */
    void (*tell)(void *user, const cJSON *list);
    void *user;
};

/* Reads the last list from [gateway] state_dir and connects. NULL after logging why. */
struct upstream *upstream_open(uv_loop_t *loop, const struct config *config, const struct upstream_events *events);
void upstream_close(struct upstream *upstream, void (*closed)(void *user), void *user);

bool upstream_ready(const struct upstream *upstream);
const struct terminals *upstream_terminals(const struct upstream *upstream);
struct pending *upstream_pending(struct upstream *upstream);

/* As publisher_publish; the message's name is made here. */
int upstream_publish(struct upstream *upstream, struct publisher_message *message);
bool upstream_has_room(const struct upstream *upstream);

/* The hub is asked what is missing of the terminal, with others in a letter; it answers by `tell`, or not at all. */
void upstream_ask_history(struct upstream *upstream, const struct terminal *terminal);

/* Commands to terminals, see commands.h: one that is offered is asked for; one that is given is carried out if it is
 * the first time; what became of it goes to the hub. */
void upstream_want(struct upstream *upstream, int64_t id);
bool upstream_begin(struct upstream *upstream, struct command_name name);
void upstream_settle(struct upstream *upstream, struct command_name name, const char *state, cJSON *answer);

struct parcel;
/* Sends the letter, which is released in any case, under a name of its own; it is a part of the parcel, if there is
 * one. 0, or CH_EBROKER, CH_EFULL (as many wait as may), CH_EINVAL (too large) or CH_EMEMORY: it is none. */
int upstream_letter(struct upstream *upstream, cJSON *letter, struct parcel *parcel);

#endif
