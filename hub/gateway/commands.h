/* commands.h: what the hub lets terminals be told (终端指令), between the hub and the connections: which commands are
 * wanted, which were carried out, and what became of them until the hub has kept that. Belongs to the loop's thread. */
#ifndef CITYHUB_COMMANDS_H
#define CITYHUB_COMMANDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub/gateway/bundle.h"

struct commands;

/* One command, as this gateway took it: one that it gave back and took again is another. id 0 = none. */
struct command_name {
    int64_t id;
    int take;
};

/* What the hub gives: {"command": {"id", "take"}}; id 0 = it is no command. */
struct command_name command_name_of(const cJSON *what);

/* The words of the hub for what became of a command. */
#define COMMAND_RETURNED "returned"         /* it was not sent, and may be offered again */
#define COMMAND_SENT "sent"                 /* a first answer; the end is to come */
#define COMMAND_ACKNOWLEDGED "acknowledged" /* the terminal has done it */
#define COMMAND_FAILED "failed"             /* the terminal has not, and says so */

/* Empty; NULL = out of memory. */
struct commands *commands_new(void);
void commands_free(struct commands *commands);

/* A command is offered whose terminal is here: it is asked for with the next letter. As many as may already: it will be
 * offered again. */
void commands_want(struct commands *commands, int64_t id);

/* The hub has given it. False: it was given before, and must not be carried out twice. */
bool commands_begin(struct commands *commands, struct command_name name);

/* What became of it; `answer`, an object, is released in any case, NULL = there is nothing to say. */
void commands_settle(struct commands *commands, struct command_name name, const char *state, cJSON *answer);

/* A letter that says it of one command, the caller's, for who has to know that the hub has kept it. `answer` likewise.
 * NULL = memory is out. */
cJSON *commands_letter_of(struct command_name name, const char *state, cJSON *answer);

/* The letter that asks for what is wanted, the caller's; NULL = nothing is. */
cJSON *commands_take_letter(struct commands *commands);

/* The letter that says what became of commands, the caller's, and the parcel that it must be sent with and that is then
 * to be sealed: what the hub has not kept is said again. NULL = there is nothing, or another one is on its way. */
cJSON *commands_settled_letter(struct commands *commands, struct parcel **parcel);

#endif
