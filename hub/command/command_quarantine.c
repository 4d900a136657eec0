/* command_quarantine.c: `cityhub quarantine`: messages of which something could not be stored. Shows them, and sends
 * them once more after their cause is mended. Never deletes one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"
#include "hub/command/replay.h"

enum {
    PAGE = 500,           /* ids read at a time */
    EXCERPT_BYTES = 1024, /* of a text payload, in `show` */
    EXCERPT_BINARY = 256, /* of a binary one */
};

static const char message_sql[] = "SELECT topic, payload FROM onemap.quarantine_message($1::bigint)";
static const char whole_sql[] =
    "SELECT m.topic, m.payload, m.received_ms,"
    " (SELECT q.times::text FROM onemap.quarantine q WHERE q.id = $1::bigint)"
    " FROM onemap.quarantine_message($1::bigint) m WHERE onemap.quarantine_is_whole($1::bigint)";

/* ---- list ---- */

static const struct ask_list waiting_rows = {.rows = "onemap.quarantine_list_table",
                                             .json = "onemap.quarantine_list_json",
                                             .nothing = "no message waits",
                                             .limited = true,
                                             .times = true};
static const struct ask_list all_rows = {.rows = "onemap.quarantine_list_table",
                                         .json = "onemap.quarantine_list_json",
                                         .nothing = "no message fits",
                                         .limited = true,
                                         .times = true};

static int list(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    bool all = argument_given(arguments, "all");
    if (member_put(arguments->request, "waiting", cJSON_CreateBool(!all)) != 0 ||
        member_put(arguments->request, "newest_first", cJSON_CreateTrue()) != 0) {
        return command_fail("out of memory");
    }
    return ask_print(connection, all ? &all_rows : &waiting_rows, arguments);
}

/* ---- show ---- */

static bool is_text(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') {
            return false;
        }
    }
    return true;
}

static void print_excerpt(const char *bytes, size_t length) {
    size_t limit = is_text(bytes, length) ? EXCERPT_BYTES : EXCERPT_BINARY;
    size_t shown = length < limit ? length : limit;
    if (shown < length) {
        printf("It begins with:\n");
    }
    if (limit == EXCERPT_BYTES) {
        char text[EXCERPT_BYTES + 1];
        memcpy(text, bytes, shown);
        text[shown] = '\0';
        print_text(stdout, text);
        putchar('\n');
        return;
    }
    for (size_t i = 0; i < shown; i++) {
        printf("%02x%s", (unsigned)(unsigned char)bytes[i], i % 32 == 31 || i + 1 == shown ? "\n" : " ");
    }
}

static int write_payload(const char *path, const char *bytes, size_t length) {
    bool standard_output = strcmp(path, "-") == 0;
    int file = standard_output ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    while (file >= 0 && done < length) {
        ssize_t wrote = write(file, bytes + done, length - done);
        if (wrote < 0 && errno != EINTR) {
            break;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    int code = file >= 0 && done == length ? EXIT_DONE : command_fail("%s: %s", path, strerror(errno));
    if (file >= 0 && !standard_output) {
        close(file);
    }
    return code;
}

static int show_facts(PGconn *connection, const struct arguments *arguments, const PGresult *message) {
    PGresult *facts = ask_rows(connection, "onemap.quarantine_show_facts", arguments->request);
    if (facts == NULL) {
        return EXIT_FAILED;
    }
    print_facts(stdout, facts);
    PQclear(facts);
    putchar('\n');
    print_excerpt(PQgetvalue(message, 0, 1), (size_t)PQgetlength(message, 0, 1));
    return EXIT_DONE;
}

static int show(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    const char *path = argument_text(arguments, "payload");
    PGresult *message =
        database_query_binary(connection, message_sql, 1, (const char *const[]){argument_text(arguments, "ID")});
    if (message == NULL) {
        return EXIT_FAILED;
    }
    int code = path == NULL ? show_facts(connection, arguments, message)
                            : write_payload(path, PQgetvalue(message, 0, 1), (size_t)PQgetlength(message, 0, 1));
    PQclear(message);
    return code;
}

/* ---- replay ---- */

struct replaying {
    PGconn *connection;
    struct replay *replay;
    int64_t done, failed;
    bool broken; /* the database did not take a note: stop */
};

static void on_outcome(void *user, const struct replay_message *message, const char *problem) {
    struct replaying *replaying = user;
    int64_t id = message->id;
    if (problem != NULL) {
        replaying->failed++;
        command_fail("message %lld was not replayed: %s", (long long)id, problem);
        return;
    }
    char text[24], times[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    snprintf(times, sizeof times, "%lld", (long long)message->times);
    if (database_run(replaying->connection, "SELECT onemap.quarantine_replayed($1::bigint, $2::int)", 2,
                     (const char *const[]){text, times}) != 0) {
        command_fail("message %lld was replayed, but that could not be noted: it will be replayed again, which does no "
                     "harm",
                     (long long)id);
        replaying->broken = true;
        replaying->failed++;
        return;
    }
    replaying->done++;
}

/* Sends one message; 0, or a negative code that ends the replay. One that is not there is told, and the others go on.
 */
static int replay_one(struct replaying *replaying, const char *id_text) {
    PGresult *message = database_query_binary(replaying->connection, whole_sql, 1, (const char *const[]){id_text});
    int code = 0;
    if (message == NULL) {
        replaying->failed++;
        code = PQstatus(replaying->connection) == CONNECTION_OK ? 0 : CH_EDATABASE;
    } else {
        code = replay_send(replaying->replay,
                           (struct replay_message){.id = strtoll(id_text, NULL, 10),
                                                   .times = strtoll(PQgetvalue(message, 0, 3), NULL, 10)},
                           PQgetvalue(message, 0, 2), PQgetvalue(message, 0, 0), PQgetvalue(message, 0, 1),
                           (size_t)PQgetlength(message, 0, 1));
    }
    PQclear(message);
    return replaying->broken ? CH_EDATABASE : code;
}

/* The next ids that fit the filter, behind `after`. */
static PGresult *next_page(PGconn *connection, cJSON *filter, const char *after, const char *until, int64_t limit) {
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)limit);
    if (member_put(filter, "after", cJSON_CreateRaw(after)) != 0 ||
        member_put(filter, "until", cJSON_CreateRaw(until)) != 0 ||
        member_put(filter, "limit", cJSON_CreateRaw(number)) != 0) {
        command_fail("out of memory");
        return NULL;
    }
    return ask_rows(connection, "onemap.quarantine_ids", filter);
}

/* Sends what fits the filter, page by page. Rows that the replay itself makes lie beyond `until` and are left alone. */
static int replay_found(struct replaying *replaying, const struct arguments *arguments) {
    char *until = database_text(replaying->connection, "SELECT onemap.quarantine_last_id()", 0, NULL);
    char after[24] = "0";
    int64_t left = argument_given(arguments, "limit") ? argument_number(arguments, "limit") : INT64_MAX;
    int code = until == NULL ? CH_EDATABASE : 0;
    for (bool more = true; code == 0 && more && left > 0;) {
        PGresult *page = next_page(replaying->connection, arguments->request, after, until, left < PAGE ? left : PAGE);
        code = page == NULL ? CH_EDATABASE : 0;
        int rows = PQntuples(page);
        for (int row = 0; code == 0 && row < rows; row++) {
            snprintf(after, sizeof after, "%s", PQgetvalue(page, row, 0));
            code = replay_one(replaying, after);
        }
        left -= rows;
        more = rows > 0;
        PQclear(page);
    }
    free(until);
    return code;
}

static int replay_run(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    struct replaying replaying = {.connection = connection};
    replaying.replay = replay_open(config, on_outcome, &replaying);
    if (replaying.replay == NULL) {
        return EXIT_FAILED;
    }
    int code = 0;
    for (size_t i = 0; code == 0 && i < arguments->operand_count; i++) {
        code = replay_one(&replaying, arguments->operands[i]);
    }
    if (code == 0 && arguments->operand_count == 0) {
        code = replay_found(&replaying, arguments);
    }
    if (code == 0) {
        code = replay_finish(replaying.replay);
    }
    replay_close(replaying.replay);
    printf("%lld replayed, %lld not%s\n", (long long)replaying.done, (long long)replaying.failed,
           code == 0 ? "" : "; broken off, call it again");
    return code == 0 && replaying.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* Either messages by their ids, or all, or those that fit: what is sent must have been meant. */
static int replay(const struct config *config, const struct arguments *arguments) {
    static const char *const filters[] = {"subsystem", "vendor", "kind", "code", "since"};
    bool named = arguments->operand_count > 0;
    bool found = argument_given(arguments, "all");
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        found = found || argument_given(arguments, filters[i]);
    }
    if (named == found || (named && (argument_given(arguments, "again") || argument_given(arguments, "limit")))) {
        return arguments_misuse(arguments, "give ids, or else --all or filters");
    }
    if (member_put(arguments->request, "waiting", cJSON_CreateBool(!argument_given(arguments, "again"))) != 0) {
        return command_fail("out of memory");
    }
    return ask_run(config, arguments);
}

/* ---- the command ---- */

#define QUARANTINE_FILTERS                                                                                             \
    {.name = "subsystem",                                                                                              \
     .argument = "KEY",                                                                                                \
     .kind = OPTION_SUBSYSTEM,                                                                                         \
     .member = "subsystem",                                                                                            \
     .help = "of this subsystem"},                                                                                     \
        {.name = "vendor", .argument = "NAME", .kind = OPTION_TEXT, .member = "vendor", .help = "of this vendor"},     \
        {.name = "kind",                                                                                               \
         .argument = "KIND",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .words = "telemetry inventory staff work case interval",                                                      \
         .member = "kind",                                                                                             \
         .help = "of this kind"},                                                                                      \
        {.name = "code",                                                                                               \
         .argument = "CODE",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .member = "code",                                                                                             \
         .help = "whose first problem has this code"},                                                                 \
    {                                                                                                                  \
        .name = "since", .argument = "TIME", .kind = OPTION_TEXT, .member = "since",                                   \
        .help = "received at that time or later: 2026-11-24, '2026-11-24 08:00', '2 hours'"                            \
    }

static const struct command_option list_options[] = {
    QUARANTINE_FILTERS,
    {.name = "all", .kind = OPTION_FLAG, .help = "those replayed, too"},
    {.name = "limit",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT32_MAX,
     .initial = "50",
     .member = "limit",
     .help = "at most so many, the newest"},
    ASK_OPTIONS,
    {0},
};

static const struct command quarantine_list = {
    .name = "list",
    .summary = "show messages that wait to be replayed, newest first",
    .options = list_options,
    .work = list,
    .examples = "cityhub quarantine list --vendor acme --since '2 hours'\n",
};

static const struct command_option show_options[] = {
    {.name = "ID",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT64_MAX,
     .required = true,
     .member = "id",
     .help = "the message, as list names it"},
    {.name = "payload",
     .argument = "FILE",
     .kind = OPTION_FILE,
     .help = "write the payload, to the byte, to FILE, which must not be there yet; - is standard output"},
    {0},
};

static const struct command quarantine_show = {
    .name = "show",
    .summary = "show one message with all its problems and the beginning of its payload",
    .options = show_options,
    .work = show,
    .examples = "cityhub quarantine show 4711\n"
                "cityhub quarantine show 4711 --payload message.bin\n",
};

static const struct command_option replay_options[] = {
    {.name = "ID",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT64_MAX,
     .repeated = true,
     .help = "these messages, even if they were replayed before"},
    {.name = "all", .kind = OPTION_FLAG, .help = "all that wait"},
    QUARANTINE_FILTERS,
    {.name = "again", .kind = OPTION_FLAG, .help = "those replayed before, too (with --all or filters)"},
    {.name = "limit",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT32_MAX,
     .help = "at most so many, the oldest first (with --all or filters)"},
    {0},
};

static const struct command quarantine_replay = {
    .name = "replay",
    .summary = "publish messages once more, after their cause is mended",
    .text =
        "Publishes messages on their own topic again, as the hub; records that were stored come out as duplicates, what is still "
        "wrong comes back as a new row. Exit code 1 if one of them could not be sent.",
    .options = replay_options,
    .run = replay,
    .work = replay_run,
    .examples = "cityhub quarantine replay 4711 4712\n"
                "cityhub quarantine replay --subsystem dust --code unknown_device\n",
};

static const struct command *const actions[] = {&quarantine_list, &quarantine_show, &quarantine_replay, NULL};

const struct command command_quarantine = {
    .name = "quarantine",
    .summary = "list messages that could not be stored, and replay them (隔离区)",
    .text =
        "A message of which something could not be stored is kept whole, with the reason; its good records are stored.",
    .actions = actions,
    .more = "docs/vendor.md, docs/deploy.md",
};
