/* command_quarantine.c: `cityhub quarantine`: messages of which something could not be stored. Shows them, and sends
 * them once more after their cause is mended. Never deletes one. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/command/replay.h"

enum {
    LIST_DEFAULT = 50,
    PAGE = 500,           /* ids read at a time */
    EXCERPT_BYTES = 1024, /* of a text payload, in `show` */
    EXCERPT_BINARY = 256, /* of a binary one */
    FORMAT_BINARY = 1,
};

static const char usage[] =
    "usage: cityhub quarantine list [FILTER ...] [--all] [--limit N] [--json]\n"
    "       cityhub quarantine show ID [--payload FILE]\n"
    "       cityhub quarantine replay ID ... | --all | FILTER ... [--again] [--limit N]\n\n"
    "A message of which something could not be stored is kept whole, with the reason; good records of it are stored.\n"
    "list: those not replayed yet, newest first.\n"
    "  --all       those replayed, too\n"
    "  --limit N   at most N (default 50)\n"
    "  --json      as JSON\n"
    "show: one message with all its problems and the beginning of its payload.\n"
    "  --payload FILE  writes the payload to FILE, which must not be there yet; - is standard output\n"
    "replay: publishes messages on their own topic again, as the hub; records that were stored come out as "
    "duplicates,\n"
    "  what is still wrong comes back as a new row. Messages named by ID are replayed even if they were before.\n"
    "  --all       all that wait\n"
    "  --again     with --all or filters: those replayed before, too\n"
    "  --limit N   at most N, oldest first\n"
    "Filters: --subsystem KEY, --vendor NAME, --kind KIND, --code CODE, --since TIME (2026-11-24, '2026-11-24 08:00',\n"
    "  '2 hours').\n";

static const struct option find_options[] = {{"subsystem", required_argument, NULL, 's'},
                                             {"vendor", required_argument, NULL, 'v'},
                                             {"kind", required_argument, NULL, 'k'},
                                             {"code", required_argument, NULL, 'c'},
                                             {"since", required_argument, NULL, 't'},
                                             {"limit", required_argument, NULL, 'l'},
                                             {"all", no_argument, NULL, 'a'},
                                             {"again", no_argument, NULL, 'g'},
                                             {"json", no_argument, NULL, 'j'},
                                             {0}};

/* What list and replay were asked for. */
struct find {
    cJSON *filter; /* of onemap.quarantine_find() */
    int filters;
    int64_t limit; /* 0 = none given */
    bool all, again, json;
};

static const char *filter_name(int option) {
    switch (option) {
    case 's':
        return "subsystem";
    case 'v':
        return "vendor";
    case 'k':
        return "kind";
    case 'c':
        return "code";
    case 't':
        return "since";
    default:
        return NULL;
    }
}

static int find_parse(struct find *find, const char *action, int argc, char **argv) {
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", find_options, NULL)) != -1;) {
        const char *name = filter_name(option);
        if (name != NULL) {
            cJSON_DeleteItemFromObject(find->filter, name);
            cJSON_AddStringToObject(find->filter, name, optarg);
            find->filters++;
        } else if (option == 'l' && command_number(optarg, 1, INT32_MAX, &find->limit) != 0) {
            return command_misuse("cityhub quarantine", "--limit %s: must be a whole number from 1", optarg);
        } else if (option == '?') {
            return command_misuse("cityhub quarantine", "quarantine %s: see above", action);
        }
        find->all = find->all || option == 'a';
        find->again = find->again || option == 'g';
        find->json = find->json || option == 'j';
    }
    return EXIT_DONE;
}

static const char list_sql[] =
    "SELECT q.id, pg_catalog.to_char(q.received_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'),"
    " 'YYYY-MM-DD HH24:MI:SS') AS received, q.subsystem, q.vendor, q.kind, q.code, q.records, q.problems, q.bytes,"
    " q.replay_count AS replayed, pg_catalog.left(q.reason, 80) AS reason FROM onemap.quarantine_find($1::jsonb) q"
    " ORDER BY q.id DESC";

static const char list_json_sql[] =
    "SELECT pg_catalog.jsonb_pretty(coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q) ORDER BY q.id DESC), '[]'))"
    " FROM onemap.quarantine_find($1::jsonb) q";

static int list_print(PGconn *connection, const struct find *find) {
    char *filter = cJSON_PrintUnformatted(find->filter);
    PGresult *rows = filter == NULL ? NULL
                                    : database_query(connection, find->json ? list_json_sql : list_sql, 1,
                                                     (const char *const[]){filter});
    free(filter);
    if (rows == NULL) {
        return EXIT_FAILED;
    }
    if (find->json) {
        printf("%s\n", PQgetvalue(rows, 0, 0));
    } else if (PQntuples(rows) == 0) {
        printf("no message %s\n", find->all ? "fits" : "waits");
    } else {
        print_table(stdout, rows);
        if (PQntuples(rows) == find->limit) {
            printf("The newest %lld; --limit shows more.\n", (long long)find->limit);
        }
    }
    PQclear(rows);
    return EXIT_DONE;
}

static int quarantine_list(const struct config *config, int argc, char **argv) {
    struct find find = {.filter = cJSON_CreateObject()};
    int code = find_parse(&find, "list", argc, argv);
    if (code == EXIT_DONE && (optind < argc || find.again)) {
        code = command_misuse("cityhub quarantine", "quarantine list: takes neither ids nor --again");
    }
    if (code == EXIT_DONE) {
        find.limit = find.limit == 0 ? LIST_DEFAULT : find.limit;
        cJSON_AddNumberToObject(find.filter, "limit", (double)find.limit);
        cJSON_AddBoolToObject(find.filter, "waiting", !find.all);
        cJSON_AddBoolToObject(find.filter, "newest_first", true);
        PGconn *connection = database_connect(config, "quarantine list");
        code = connection == NULL ? EXIT_FAILED : list_print(connection, &find);
        PQfinish(connection);
    }
    cJSON_Delete(find.filter);
    return code;
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
    printf("payload    %zu bytes%s\n", length, shown < length ? ", beginning:" : ":");
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

static const char show_sql[] =
    "SELECT q.id::text, pg_catalog.to_char(q.received_at, 'YYYY-MM-DD HH24:MI:SS.MS') || ' UTC', q.topic, q.code, "
    "q.reason,"
    " q.record_count::text, q.replay_count || coalesce(pg_catalog.to_char(q.replayed_at, ', last YYYY-MM-DD "
    "HH24:MI:SS')"
    " || ' UTC', ''), coalesce((SELECT pg_catalog.string_agg(pg_catalog.format('  record %s: %s: %s', p.index, p.code,"
    " p.reason), E'\\n' ORDER BY p.index) FROM pg_catalog.jsonb_to_recordset(q.problems) AS p(index int, code text,"
    " reason text)), ''), q.payload FROM onemap.quarantine q WHERE q.id = $1::bigint";

/* All columns come in binary format: for text that is the text itself, and the payload keeps its bytes. */
static PGresult *show_query(PGconn *connection, const char *id) {
    const char *const parameters[] = {id};
    PGresult *row = PQexecParams(connection, show_sql, 1, NULL, parameters, NULL, NULL, FORMAT_BINARY);
    if (PQresultStatus(row) != PGRES_TUPLES_OK) {
        database_complain(connection, row);
    } else if (PQntuples(row) == 1) {
        return row;
    } else {
        command_fail("the quarantine has no message %s", id);
    }
    PQclear(row);
    return NULL;
}

static void show_print(const PGresult *row, int payload_column) {
    static const char *const titles[] = {"id",     "received", "topic",    "code",
                                         "reason", "records",  "replayed", "problems"};
    for (int column = 0; column < payload_column; column++) {
        printf("%-9s  ", titles[column]);
        const char *text = PQgetvalue(row, 0, column);
        /* Line by line: the line ends are ours, other control characters may be the vendor's. */
        while (*text != '\0') {
            size_t length = strcspn(text, "\n");
            char *line = strndup(text, length);
            print_text(stdout, line == NULL ? "" : line);
            free(line);
            text += length;
            if (*text == '\n') {
                putchar('\n');
                text++;
            }
        }
        putchar('\n');
    }
}

static int quarantine_show(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {{"payload", required_argument, NULL, 'p'}, {0}};
    const char *path = NULL;
    int64_t id = 0;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'p') {
            return command_misuse("cityhub quarantine", "quarantine show: see above");
        }
        path = optarg;
    }
    if (optind + 1 != argc || command_number(argv[optind], 1, INT64_MAX, &id) != 0) {
        return command_misuse("cityhub quarantine", "quarantine show: one id is needed");
    }
    PGconn *connection = database_connect(config, "quarantine show");
    PGresult *row = connection == NULL ? NULL : show_query(connection, argv[optind]);
    int code = row == NULL ? EXIT_FAILED : EXIT_DONE;
    if (row != NULL) {
        int payload = PQnfields(row) - 1;
        size_t length = (size_t)PQgetlength(row, 0, payload);
        if (path != NULL) {
            code = write_payload(path, PQgetvalue(row, 0, payload), length);
        } else {
            show_print(row, payload);
            print_excerpt(PQgetvalue(row, 0, payload), length);
        }
    }
    PQclear(row);
    PQfinish(connection);
    return code;
}

/* ---- replay ---- */

struct replaying {
    PGconn *connection;
    struct replay *replay;
    int64_t done, failed;
    bool broken; /* the database did not take a note: stop */
};

static void on_outcome(void *user, int64_t id, const char *problem) {
    struct replaying *replaying = user;
    if (problem != NULL) {
        replaying->failed++;
        command_fail("message %lld was not replayed: %s", (long long)id, problem);
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    if (database_run(replaying->connection, "SELECT onemap.quarantine_replayed($1::bigint)", 1,
                     (const char *const[]){text}) != 0) {
        command_fail("message %lld was replayed, but that could not be noted: it will be replayed again, which does no "
                     "harm",
                     (long long)id);
        replaying->broken = true;
        replaying->failed++;
        return;
    }
    replaying->done++;
}

/* Sends one message; 0, or a negative code that ends the replay. */
static int replay_one(struct replaying *replaying, const char *id_text) {
    const char *const parameters[] = {id_text};
    PGresult *row = PQexecParams(replaying->connection,
                                 "SELECT q.topic, q.payload FROM onemap.quarantine q WHERE q.id = $1::bigint", 1, NULL,
                                 parameters, NULL, NULL, FORMAT_BINARY);
    int code = 0;
    if (PQresultStatus(row) != PGRES_TUPLES_OK) {
        database_complain(replaying->connection, row);
        code = CH_EDATABASE;
    } else if (PQntuples(row) == 0) {
        command_fail("the quarantine has no message %s", id_text);
        replaying->failed++;
    } else {
        code = replay_send(replaying->replay, strtoll(id_text, NULL, 10), PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1),
                           (size_t)PQgetlength(row, 0, 1));
    }
    PQclear(row);
    return replaying->broken ? CH_EDATABASE : code;
}

/* Sends what fits the filter, page by page. Rows that the replay itself makes lie beyond `until` and are left alone. */
static int replay_found(struct replaying *replaying, const struct find *find) {
    char *until =
        database_text(replaying->connection, "SELECT coalesce(max(q.id), 0) FROM onemap.quarantine q", 0, NULL);
    char after[24] = "0";
    int64_t left = find->limit == 0 ? INT64_MAX : find->limit;
    int code = until == NULL ? CH_EDATABASE : 0;
    for (bool more = true; code == 0 && more && left > 0;) {
        char limit[24];
        snprintf(limit, sizeof limit, "%lld", (long long)(left < PAGE ? left : PAGE));
        char *filter = cJSON_PrintUnformatted(find->filter);
        PGresult *page =
            filter == NULL
                ? NULL
                : database_query(replaying->connection,
                                 "SELECT q.id FROM onemap.quarantine_find($1::jsonb || pg_catalog.jsonb_build_object"
                                 "('after', $2::bigint, 'until', $3::bigint, 'limit', $4::bigint)) q ORDER BY q.id",
                                 4, (const char *const[]){filter, after, until, limit});
        free(filter);
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

static int replay_all(const struct config *config, PGconn *connection, const struct find *find, int ids,
                      char **id_texts) {
    struct replaying replaying = {.connection = connection};
    replaying.replay = replay_open(config, on_outcome, &replaying);
    if (replaying.replay == NULL) {
        return EXIT_FAILED;
    }
    int code = 0;
    for (int i = 0; code == 0 && i < ids; i++) {
        code = replay_one(&replaying, id_texts[i]);
    }
    if (code == 0 && ids == 0) {
        code = replay_found(&replaying, find);
    }
    if (code == 0) {
        code = replay_finish(replaying.replay);
    }
    replay_close(replaying.replay);
    printf("%lld replayed, %lld not%s\n", (long long)replaying.done, (long long)replaying.failed,
           code == 0 ? "" : "; broken off, call it again");
    return code == 0 && replaying.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int replay_check(const struct find *find, int ids, char **id_texts) {
    bool found = find->all || find->filters > 0;
    if (find->json) {
        return command_misuse("cityhub quarantine", "quarantine replay: takes no --json");
    }
    if ((ids > 0) == found || (ids > 0 && (find->again || find->limit > 0))) {
        return command_misuse("cityhub quarantine", "quarantine replay: give ids, or else --all or filters");
    }
    for (int i = 0; i < ids; i++) {
        int64_t id;
        if (command_number(id_texts[i], 1, INT64_MAX, &id) != 0) {
            return command_misuse("cityhub quarantine", "quarantine replay: `%s` is no id", id_texts[i]);
        }
    }
    return EXIT_DONE;
}

static int quarantine_replay(const struct config *config, int argc, char **argv) {
    struct find find = {.filter = cJSON_CreateObject()};
    int code = find_parse(&find, "replay", argc, argv);
    if (code == EXIT_DONE) {
        code = replay_check(&find, argc - optind, argv + optind);
    }
    if (code == EXIT_DONE) {
        cJSON_AddBoolToObject(find.filter, "waiting", !find.again);
        PGconn *connection = database_connect(config, "quarantine replay");
        code = connection == NULL ? EXIT_FAILED : replay_all(config, connection, &find, argc - optind, argv + optind);
        PQfinish(connection);
    }
    cJSON_Delete(find.filter);
    return code;
}

int command_quarantine(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {
        {"list", quarantine_list}, {"show", quarantine_show}, {"replay", quarantine_replay}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}
