/* command_storage.c: `cityhub storage`: what stored days take on the disk, and packing or unpacking days by hand, step
 * by step as the hub's job does. Never holds up the hub: each step is short, and waits for whoever is before it. */
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/command/commands.h"

enum { BUSY_WAIT_US = 200000, BUSY_TIMES_MAX = 600 /* two minutes */ };

static void print_day(const cJSON *told, const char *word) {
    double values = member_number(told, "values", 0);
    printf("%s: %s: %.0f records, %.0f places, %.0f values, %.1f MiB", member_text(told, "day"), word,
           member_number(told, "records", 0), member_number(told, "places", 0), values,
           member_number(told, "bytes", 0) / 1048576);
    if (values > 0) {
        printf(", %.2f bytes a value (%.2f raw)", member_number(told, "bytes", 0) / values,
               member_number(told, "raw_bytes", 0) / values);
    }
    putchar('\n');
    fflush(stdout);
}

/* Asks `function` for one step after the other until it says that the day is done. */
static int storage_day(PGconn *connection, const char *function, const char *word, const char *day) {
    int busy = 0;
    cJSON *request = cJSON_CreateObject();
    int code = cJSON_AddStringToObject(request, "day", day) == NULL ? command_fail("out of memory") : EXIT_DONE;
    for (bool done = code != EXIT_DONE; !done;) {
        cJSON *told = ask_json(connection, function, request);
        const char *step = told == NULL ? "" : member_text(told, "step");
        done = true;
        if (told == NULL) {
            code = EXIT_FAILED;
        } else if (strcmp(step, "done") == 0) {
            print_day(told, word);
        } else if (strcmp(step, "busy") != 0) {
            busy = 0;
            done = false;
        } else if (busy++ < BUSY_TIMES_MAX) {
            usleep(BUSY_WAIT_US);
            done = false;
        } else {
            code = command_fail(
                "%s: somebody else packs, or writes records of the day, for minutes; say it again later", day);
        }
        cJSON_Delete(told);
    }
    cJSON_Delete(request);
    return code;
}

static int storage_days(PGconn *connection, const struct arguments *arguments, const char *function, const char *word) {
    int code = EXIT_DONE;
    for (size_t i = 0; i < arguments->operand_count && code == EXIT_DONE; i++) {
        code = storage_day(connection, function, word, arguments->operands[i]);
    }
    return code;
}

static int pack(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return storage_days(connection, arguments, "onemap.storage_pack", "packed");
}

static int unpack(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return storage_days(connection, arguments, "onemap.storage_unpack", "raw");
}

static const struct command_option list_options[] = {
    OPTION_DAY(.name = "from", .member = "from", .help = "days from this one on; else from the first"),
    OPTION_DAY(.name = "to", .member = "to", .help = "days up to this one; else to the last"),
    ASK_OPTIONS,
    {0},
};

static const struct ask_list list_rows = {
    .rows = "onemap.storage_list_table", .json = "onemap.storage_list_json", .nothing = "no day is stored"};

static const struct command storage_list = {
    .name = "list",
    .summary = "show stored days (UTC): records, values, bytes, and what packing saved or would save",
    .text = "Bytes are those on the disk, with indexes. What packing would save is told by the days that are packed.",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub storage list --from 2026-10-01\n",
};

static const struct command_option day_options[] = {
    {.name = "DAY",
     .kind = OPTION_TEXT,
     .required = true,
     .repeated = true,
     .pattern = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
     .shape = "a day such as 2026-10-01",
     .help = "the day (UTC)"},
    {0},
};

static const struct command storage_pack = {
    .name = "pack",
    .summary = "pack days (压缩归档) now, and what came late for packed ones",
    .text =
        "The hub packs days by itself when they are [retention] pack_after_days old. All readers see packed days as raw ones; records "
        "that come later, duplicates and corrections are taken as before. Days up to the day before yesterday can be packed.",
    .options = day_options,
    .work = pack,
    .examples = "cityhub storage pack 2026-10-01 2026-10-02\n",
};

static const struct command storage_unpack = {
    .name = "unpack",
    .summary = "make packed days raw again",
    .text = "They take as much of the disk as before, and stay raw until `storage pack` packs them.",
    .options = day_options,
    .work = unpack,
    .examples = "cityhub storage unpack 2026-10-01\n",
};

static const struct command *const actions[] = {&storage_list, &storage_pack, &storage_unpack, NULL};

const struct command command_storage = {
    .name = "storage",
    .summary = "show what stored days take on the disk; pack and unpack them",
    .actions = actions,
    .more = "docs/storage.md",
};
