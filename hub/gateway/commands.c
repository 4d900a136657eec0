/* commands.c: see commands.h. Must never let a command be carried out twice, nor forget what became of one while there
 * is room to remember it. */
#include "hub/gateway/commands.h"

#include <stdlib.h>

#include "hub/base/log.h"
#include "hub/base/member.h"

enum {
    WANTED_MAX = 100,  /* asked for with one letter */
    BEGUN_MAX = 1024,  /* the last that were carried out: the broker may deliver one a second time soon after */
    SETTLED_MAX = 500, /* that the hub has not kept yet */
    A_LETTER = 100,
};

struct commands {
    struct parcel parcel; /* first: of the letter on its way */
    int64_t wanted[WANTED_MAX];
    size_t wanted_count;
    struct command_name begun[BEGUN_MAX];
    size_t begun_next;
    cJSON *settled;    /* an array, in the order in which it came */
    size_t on_the_way; /* so many of the first ones are in the letter; 0 = there is none */
};

struct commands *commands_new(void) {
    struct commands *commands = calloc(1, sizeof *commands);
    if (commands != NULL) {
        commands->settled = cJSON_CreateArray();
    }
    if (commands == NULL || commands->settled == NULL) {
        free(commands);
        return NULL;
    }
    return commands;
}

void commands_free(struct commands *commands) {
    if (commands != NULL) {
        cJSON_Delete(commands->settled);
        free(commands);
    }
}

struct command_name command_name_of(const cJSON *what) {
    const cJSON *command = member_get(what, "command");
    return (struct command_name){.id = (int64_t)member_number(command, "id", 0),
                                 .take = (int)member_number(command, "take", 0)};
}

/* ---- down ---- */

void commands_want(struct commands *commands, int64_t id) {
    if (id > 0 && commands->wanted_count < WANTED_MAX) {
        commands->wanted[commands->wanted_count++] = id;
    }
}

bool commands_begin(struct commands *commands, struct command_name name) {
    for (size_t i = 0; i < BEGUN_MAX; i++) {
        if (commands->begun[i].id == name.id && commands->begun[i].take == name.take) {
            return false;
        }
    }
    commands->begun[commands->begun_next++ % BEGUN_MAX] = name;
    return name.id > 0;
}

cJSON *commands_take_letter(struct commands *commands) {
    cJSON *letter = commands->wanted_count == 0 ? NULL : cJSON_CreateObject();
    cJSON *take = cJSON_AddArrayToObject(letter, "take");
    for (size_t i = 0; take != NULL && i < commands->wanted_count; i++) {
        cJSON_AddItemToArray(take, cJSON_CreateNumber((double)commands->wanted[i]));
    }
    commands->wanted_count = 0;
    return letter;
}

/* ---- up ---- */

/* NULL = memory is out; `answer` is released then. */
static cJSON *told(struct command_name name, const char *state, cJSON *answer) {
    cJSON *one = cJSON_CreateObject();
    log_info("terminal_command", "command=%lld state=%s", (long long)name.id, state);
    if (one == NULL) {
        cJSON_Delete(answer);
        return NULL;
    }
    cJSON_AddNumberToObject(one, "id", (double)name.id);
    cJSON_AddNumberToObject(one, "take", name.take);
    cJSON_AddStringToObject(one, "state", state);
    cJSON_AddItemToObject(one, "answer", answer == NULL ? cJSON_CreateObject() : answer);
    return one;
}

void commands_settle(struct commands *commands, struct command_name name, const char *state, cJSON *answer) {
    cJSON *one = told(name, state, answer);
    if (one != NULL && (size_t)cJSON_GetArraySize(commands->settled) >= SETTLED_MAX) {
        log_warning("terminal_command", "command=%lld reason=\"the hub has kept nothing for long\"",
                    (long long)name.id);
        cJSON_Delete(one);
    } else if (one != NULL) {
        cJSON_AddItemToArray(commands->settled, one);
    }
}

cJSON *commands_letter_of(struct command_name name, const char *state, cJSON *answer) {
    cJSON *letter = cJSON_CreateObject(), *settled = cJSON_AddArrayToObject(letter, "settled");
    cJSON *one = told(name, state, answer);
    if (settled == NULL || one == NULL) {
        cJSON_Delete(one);
        cJSON_Delete(letter);
        return NULL;
    }
    cJSON_AddItemToArray(settled, one);
    return letter;
}

/* What the hub has kept, or will never keep, is over; else it is said again. */
static void on_letter(struct parcel *parcel, enum parcel_end end) {
    struct commands *commands = (struct commands *)parcel;
    for (; end != PARCEL_UNSURE && commands->on_the_way > 0; commands->on_the_way--) {
        cJSON_DeleteItemFromArray(commands->settled, 0);
    }
    commands->on_the_way = 0;
}

cJSON *commands_settled_letter(struct commands *commands, struct parcel **parcel) {
    cJSON *letter =
        commands->on_the_way > 0 || cJSON_GetArraySize(commands->settled) == 0 ? NULL : cJSON_CreateObject();
    cJSON *settled = cJSON_AddArrayToObject(letter, "settled");
    const cJSON *one;
    size_t count = 0;
    if (settled == NULL) {
        cJSON_Delete(letter);
        return NULL;
    }
    cJSON_ArrayForEach(one, commands->settled) {
        cJSON *copy = count == A_LETTER ? NULL : cJSON_Duplicate(one, true);
        if (copy == NULL) {
            break;
        }
        cJSON_AddItemToArray(settled, copy);
        count++;
    }
    parcel_begin(&commands->parcel, on_letter);
    commands->on_the_way = count;
    *parcel = &commands->parcel;
    return letter;
}
