/* command_upstream.c: `cityhub upstream`: what goes up to the city's and the province's platforms. The rules are SQL
 * (schema/rules/exchange*.sql), the sending is hub/exchange. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/command/commands.h"
#include "hub/exchange/fetch.h"
#include "hub/exchange/package.h"
#include "hub/exchange/sender.h"
#include "hub/exchange/webhook.h"

/* ---- check, run, send ---- */

static void print_faults(const char *path, struct buffer *faults) {
    const char *text = buffer_string(faults);
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        fprintf(stderr, "%s: %.*s\n", path, (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static bool check_file(const char *path, const cJSON *columns) {
    struct platform target;
    struct buffer faults = {0};
    bool right =
        platform_load(&target, path, false, &faults) == 0 && platform_check_columns(&target, columns, &faults) == 0;
    if (right) {
        printf("%s: target %s, %d resources, nothing is wrong with them\n", path, target.name,
               cJSON_GetArraySize(target.resources));
    } else {
        print_faults(path, &faults);
    }
    platform_free(&target);
    buffer_free(&faults);
    return right;
}

static cJSON *read_columns(PGconn *connection) {
    char *text = database_text(connection, "SELECT onemap.exchange_columns()", 0, NULL);
    cJSON *columns = text == NULL ? NULL : cJSON_Parse(text);
    free(text);
    return columns;
}

static int check(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    size_t wrong = 0;
    cJSON *columns = read_columns(connection);
    if (columns == NULL) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < arguments->operand_count; i++) {
        wrong += !check_file(arguments->operands[i], columns);
    }
    cJSON_Delete(columns);
    return wrong == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int send_file(const struct config *config, const char *path, bool once) {
    struct platform target;
    struct buffer faults = {0};
    int result = EXIT_FAILED;
    if (platform_load(&target, path, true, &faults) != 0) {
        print_faults(path, &faults);
    } else {
        result = sender_run(config, &target, once);
    }
    platform_free(&target);
    buffer_free(&faults);
    return result;
}

static int run(const struct config *config, const struct arguments *arguments) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int result = send_file(config, argument_text(arguments, "FILE"), false);
    curl_global_cleanup();
    return result;
}

static int send_once(const struct config *config, const struct arguments *arguments) {
    int result = EXIT_DONE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < arguments->operand_count; i++) {
        int one = send_file(config, arguments->operands[i], true);
        result = one == EXIT_DONE ? result : one;
    }
    curl_global_cleanup();
    return result;
}

static int push(const struct config *config, const struct arguments *arguments) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int result = webhook_run(config, argument_text(arguments, "FILE"), argument_given(arguments, "once"));
    curl_global_cleanup();
    return result;
}

static int media(const struct config *config, const struct arguments *arguments) {
    return fetch_run(config, argument_text(arguments, "FILE"), argument_given(arguments, "once"));
}

/* A package that does not come is given up before the others are taken. */
static int give_up(PGconn *connection, const struct package_peer *peer, const struct arguments *arguments) {
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "peer", peer->peer);
    cJSON_AddNumberToObject(request, "lost", (double)argument_number(arguments, "lost"));
    cJSON_AddStringToObject(request, "reason", argument_text(arguments, "reason"));
    cJSON *answer = ask_json(connection, "onemap.package_lost", request);
    bool done = answer != NULL;
    cJSON_Delete(answer);
    cJSON_Delete(request);
    return done ? EXIT_DONE : EXIT_FAILED;
}

static int package(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    struct package_peer peer;
    bool out = strcmp(argument_text(arguments, "WAY"), "out") == 0;
    int result = EXIT_FAILED;
    (void)config;
    if (package_peer_load(&peer, argument_text(arguments, "FILE")) == 0) {
        result = argument_given(arguments, "lost") && !out ? give_up(connection, &peer, arguments) : EXIT_DONE;
        if (result == EXIT_DONE) {
            result = out ? package_out(connection, &peer) : package_in(connection, &peer);
        }
    }
    package_peer_free(&peer);
    return result;
}

/* ---- the ledger ---- */

static const struct ask_list status_rows = {.rows = "onemap.exchange_status_table",
                                            .json = "onemap.exchange_status_json",
                                            .nothing = "There is no target yet: `cityhub upstream run --help`.",
                                            .times = true};
static const struct ask_list list_rows = {.rows = "onemap.exchange_list_table",
                                          .json = "onemap.exchange_list_json",
                                          .nothing = "The ledger has no such record.",
                                          .limited = true,
                                          .times = true};
static const struct ask_list difference_rows = {.rows = "onemap.exchange_differences",
                                                .json = "onemap.exchange_differences_json",
                                                .nothing = "Each target has accepted all as it is here."};

static const struct ask_list quality_rows = {.rows = "onemap.exchange_quality_board",
                                             .json = "onemap.exchange_quality_json",
                                             .nothing = "There is no target yet: `cityhub upstream run --help`."};

static const struct ask_list county_rows = {.rows = "onemap.exchange_counties_table",
                                            .json = "onemap.exchange_counties",
                                            .nothing = "No county reports here yet: `cityhub upstream county --help`.",
                                            .times = true};

static int county(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.exchange_county_put", arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("county %s reports to /api/v1/exchange/%s\n", member_text(answer, "county"), member_text(answer, "county"));
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* Changes records and says how many. */
static int change(PGconn *connection, const struct arguments *arguments, const char *function, const char *done) {
    cJSON *answer = ask_json(connection, function, arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    double records = member_number(answer, "records", 0);
    printf("%.0f record%s %s\n", records, records == 1 ? "" : "s", done);
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int retry(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return change(connection, arguments, "onemap.exchange_retry", "will be tried at once");
}

static int replay(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return change(connection, arguments, "onemap.exchange_replay", "will go up once more");
}

static int skip(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return change(connection, arguments, "onemap.exchange_skip", "given up");
}

/* Fails if there are differences, for whoever asks before a month is reported. */
static int reconcile(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *answer = ask_json(connection, "onemap.exchange_differences_json", arguments->request);
    int differences = cJSON_GetArraySize(answer);
    bool asked = answer != NULL;
    cJSON_Delete(answer);
    int result = asked ? ask_print(connection, &difference_rows, arguments) : EXIT_FAILED;
    return result == EXIT_DONE && differences > 0 ? EXIT_FAILED : result;
}

/* ---- the command ---- */

#define UPSTREAM_FILES                                                                                                 \
    {                                                                                                                  \
        .name = "FILE", .kind = OPTION_FILE, .required = true, .repeated = true,                                       \
        .help = "a target's file, such as /etc/cityhub/upstream/city.json"                                             \
    }
#define UPSTREAM_TARGET                                                                                                \
    .name = "target", .argument = "NAME", .kind = OPTION_TEXT, .member = "target",                                     \
    .pattern = "^[a-z0-9][a-z0-9_-]{0,31}$", .shape = "a target's name"
#define UPSTREAM_RESOURCE                                                                                              \
    {                                                                                                                  \
        .name = "resource", .argument = "WORD", .kind = OPTION_WORD,                                                   \
        .words = "department grid_cell device case_step alarm figure_hour figure_day statistics score assessment",     \
        .member = "resource", .help = "only records of this resource"                                                  \
    }
#define UPSTREAM_CHOICE                                                                                                \
    UPSTREAM_RESOURCE,                                                                                                 \
        {.name = "case",                                                                                               \
         .argument = "CODE",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .member = "case",                                                                                             \
         .help = "only the steps of this case"},                                                                       \
        {.name = "record",                                                                                             \
         .argument = "TEXT",                                                                                           \
         .kind = OPTION_TEXT,                                                                                          \
         .member = "record",                                                                                           \
         .help = "only the versions of this record"},                                                                  \
        OPTION_DAY(.name = "from", .member = "from", .help = "only what was entered on this day or later"),            \
        OPTION_DAY(.name = "to", .member = "to", .help = "only what was entered on this day or before")
#define UPSTREAM_NUMBER                                                                                                \
    .name = "number", .argument = "N", .kind = OPTION_NUMBER, .minimum = 1, .maximum = INT64_MAX, .member = "number"

static const struct command_option file_options[] = {UPSTREAM_FILES, {0}};

static const struct command upstream_check = {
    .name = "check",
    .summary = "say what is wrong with targets' files",
    .text =
        "Looks at all of a file: what it must say, and whether the views have what its templates name, in a type that can be "
        "sent as the field's. Sends nothing, reads no secrets.",
    .options = file_options,
    .work = check,
    .examples = "cityhub upstream check /etc/cityhub/upstream/city.json\n",
};

static const struct command_option run_options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .required = true,
     .help = "the target's file, such as /etc/cityhub/upstream/city.json"},
    {0}};

static const struct command upstream_run = {
    .name = "run",
    .summary = "send to a target what is due, and what becomes so",
    .text =
        "Adds the target to the database, or brings it up to date, then sends in the foreground until SIGTERM or SIGINT: each case's steps in their "
        "order, each record until it is accepted or refused. A target that is away is tried after 1, 2, 4 ... seconds, five "
        "minutes at most. One sender a target. Its login needs the rights of role cityhub_exchange and no others.",
    .options = run_options,
    .run = run,
    .examples = "cityhub upstream run /etc/cityhub/upstream/city.json\n",
};

static const struct command upstream_send = {
    .name = "send",
    .summary = "send what is due now, and end",
    .text =
        "As run, but ends when nothing is due any more, or the target is away. Fails if a record was refused or is to be "
        "tried again.",
    .options = file_options,
    .run = send_once,
    .examples = "cityhub upstream send /etc/cityhub/upstream/city.json\n",
};

static const struct command_option push_options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .required = true,
     .help =
         "a JSON object with private_addresses (ranges of addresses that are not public and may be reached), plain_http, "
         "ca_file, timeout_s, such as /etc/cityhub/webhooks.json"},
    {.name = "once", .kind = OPTION_FLAG, .help = "send what is due now, one webhook after the other, and end"},
    {0}};

static const struct command upstream_push = {
    .name = "push",
    .summary = "send events of subscriptions to their webhooks (推送)",
    .text =
        "In the foreground until SIGTERM or SIGINT, each webhook by a process of its own. Each message is signed, each record's versions go one after the "
        "other, what did not arrive is sent again under its number. A webhook that has failed for long is disabled, with the "
        "alarm hub/webhook_disabled. Its login needs the rights of role cityhub_exchange and no others.",
    .options = push_options,
    .run = push,
    .examples = "cityhub upstream push /etc/cityhub/webhooks.json\n",
};

static const struct command_option media_options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .required = true,
     .help =
         "a JSON object with hub (its address on this machine), token_file (of a token with the rights read and act), and "
         "private_addresses, plain_http, ca_file, timeout_s as for push, such as /etc/cityhub/media.json"},
    {.name = "once", .kind = OPTION_FLAG, .help = "fetch what is due now, and end"},
    {0}};

static const struct command upstream_media = {
    .name = "media",
    .summary = "fetch photographs that citizens' reports name by address (Open311 media_url)",
    .text =
        "In the foreground until SIGTERM or SIGINT. Of hosts in the setting open311_media_hosts; each becomes an attachment of "
        "its case. One that fails is tried after 1, 2, 4 ... minutes; what never comes is noted in the case's journal. Its "
        "login needs the rights of role cityhub_exchange and no others.",
    .options = media_options,
    .run = media,
    .examples = "cityhub upstream media /etc/cityhub/media.json\n",
};

static const struct command_option package_options[] = {
    {.name = "WAY", .kind = OPTION_WORD, .words = "out in", .required = true, .help = "which way"},
    {.name = "FILE",
     .kind = OPTION_FILE,
     .required = true,
     .help = "the peer's file, such as /etc/cityhub/upstream/package.json"},
    {.name = "lost",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT64_MAX,
     .needs = "reason",
     .help = "in: give up package N, which is missing, and take those behind it"},
    {.name = "reason",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .needs = "lost",
     .help = "why; it is noted in the audit log"},
    {0}};

static const struct command upstream_package = {
    .name = "package",
    .summary = "exchange with a network that is kept apart (隔离网), by signed and numbered files",
    .text =
        "out writes what is due to the peer, and the receipts of what it has sent, into a folder; in takes the peer's packages from "
        "one, in their order. A package that was changed is refused, one that comes twice changes nothing, one that is missing "
        "is named, and those behind it wait for it. A record without a receipt goes again under its number after wait_s. Its "
        "login needs the rights of role cityhub_exchange and no others.",
    .options = package_options,
    .work = package,
    .examples = "cityhub upstream package out /etc/cityhub/upstream/package.json\n"
                "cityhub upstream package in /etc/cityhub/upstream/package.json --lost 17 --reason 光盘损坏\n",
};

static const struct ask_list package_rows = {.rows = "onemap.package_table",
                                             .json = "onemap.package_json",
                                             .nothing = "There is no package yet: `cityhub upstream package --help`.",
                                             .times = true};

static const struct command_option packages_options[] = {
    {.name = "peer", .argument = "NAME", .kind = OPTION_TEXT, .member = "peer", .help = "only this peer"},
    ASK_OPTIONS,
    {0}};

static const struct command upstream_packages = {
    .name = "packages",
    .summary = "show the packages to and from each peer, and what has no receipt yet",
    .options = packages_options,
    .list = &package_rows,
    .examples = "cityhub upstream packages\n",
};

static const struct command_option status_options[] = {{UPSTREAM_TARGET, .help = "only this target"}, ASK_OPTIONS, {0}};

static const struct command upstream_status = {
    .name = "status",
    .summary = "show what each target has accepted, refused, and still waits for",
    .options = status_options,
    .list = &status_rows,
    .examples = "cityhub upstream status\n",
};

static const struct command_option list_options[] = {{UPSTREAM_TARGET, .help = "only this target"},
                                                     {.name = "state",
                                                      .argument = "WORD",
                                                      .kind = OPTION_WORD,
                                                      .words = "waiting accepted refused skipped",
                                                      .member = "state",
                                                      .help = "only records in this state"},
                                                     UPSTREAM_CHOICE,
                                                     {.name = "limit",
                                                      .argument = "N",
                                                      .kind = OPTION_NUMBER,
                                                      .minimum = 1,
                                                      .maximum = 100000,
                                                      .initial = "50",
                                                      .member = "limit",
                                                      .help = "at most so many, the newest"},
                                                     ASK_OPTIONS,
                                                     {0}};

static const struct command upstream_list = {
    .name = "list",
    .summary = "show records of the ledger",
    .text = "With --json whole: what was sent, what was answered.",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub upstream list --target city --state refused\n"
                "cityhub upstream list --case 20261127-000001 --json\n",
};

static const struct command_option retry_options[] = {
    {UPSTREAM_TARGET, .required = true, .help = "the target"},
    {UPSTREAM_NUMBER, .help = "this record alone; else all that are refused or wait for their next attempt"},
    {0}};

static const struct command upstream_retry = {
    .name = "retry",
    .summary = "try refused and waiting records at once",
    .text = "Under the same number. For refused ones, when the target, or the template in its file, has been mended.",
    .options = retry_options,
    .work = retry,
    .examples = "cityhub upstream retry --target city\n",
};

static const struct command_option replay_options[] = {
    {UPSTREAM_TARGET, .required = true, .help = "the target"}, UPSTREAM_CHOICE, {0}};

static const struct command upstream_replay = {
    .name = "replay",
    .summary = "send accepted and skipped records once more",
    .text = "Under the same number and with the same hash, for a target that has lost them.",
    .options = replay_options,
    .work = replay,
    .examples = "cityhub upstream replay --target city --from 2026-11-01 --to 2026-11-03\n",
};

static const struct command_option skip_options[] = {{UPSTREAM_TARGET, .required = true, .help = "the target"},
                                                     {UPSTREAM_NUMBER, .required = true, .help = "the record's number"},
                                                     {.name = "reason",
                                                      .argument = "TEXT",
                                                      .kind = OPTION_TEXT,
                                                      .required = true,
                                                      .member = "reason",
                                                      .help = "why; it is noted in the ledger and in the audit log"},
                                                     {0}};

static const struct command upstream_skip = {
    .name = "skip",
    .summary = "give up a record that the target will not have",
    .text = "What waits behind it in the same case goes on. It stays in the ledger, as skipped.",
    .options = skip_options,
    .work = skip,
    .examples = "cityhub upstream skip --target city --number 1234 --reason 市平台无此类别\n",
};

static const struct command_option reconcile_options[] = {
    {UPSTREAM_TARGET, .help = "only this target"}, UPSTREAM_RESOURCE, ASK_OPTIONS, {0}};

static const struct command upstream_reconcile = {
    .name = "reconcile",
    .summary = "compare what targets have accepted with what is here, record by record",
    .text =
        "Fails if there is a difference: missing (not in the ledger), changed (not entered as it is now), gone (no longer here), "
        "waiting, refused, skipped (not accepted). Of a target whose file says how it is asked, also what it said it has, when the sender asked it last: lost, different, unknown, doubled.",
    .options = reconcile_options,
    .work = reconcile,
    .list = &difference_rows,
    .examples = "cityhub upstream reconcile --target city\n",
};

static const struct command_option quality_options[] = {
    {UPSTREAM_TARGET, .help = "only this target"},
    OPTION_DAY(.name = "from", .member = "from", .help = "from this day on; by default the first of the month"),
    OPTION_DAY(.name = "to", .member = "to", .help = "up to this day; by default today"),
    ASK_OPTIONS,
    {0}};

static const struct command upstream_quality = {
    .name = "quality",
    .summary = "show how complete, filled and timely the reports are, as the platform above will score them",
    .text =
        "In percent, never rounded up: complete (accepted as it is here now), content (all that the template requires is there, and "
        "not refused), timely (accepted within oldest_s), up (messages that the target answered); points of 30, as one province "
        "gives them.",
    .options = quality_options,
    .list = &quality_rows,
    .examples = "cityhub upstream quality --target city --from 2026-11-01 --to 2026-11-30\n",
};

static const struct command_option county_options[] = {
    {.name = "COUNTY",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "county",
     .pattern = "^[a-z0-9][a-z0-9_-]{0,31}$",
     .shape = "1 to 32 of a-z, 0-9, _ and -, first a letter or digit",
     .help = "what its address here ends with"},
    {.name = "name-zh",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "name_zh",
     .help = "its Chinese name"},
    {.name = "token",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "token",
     .help = "the name of the token by which it comes in, made by `cityhub token add NAME --rights exchange`"},
    {0}};

static const struct command upstream_county = {
    .name = "county",
    .summary = "let a county report to this hub, which is the city's then (上级)",
    .text = "By its own token alone; what it reports is kept apart from others'. Its hub sends by a file such as "
            "config/upstream/cityhub.json.",
    .options = county_options,
    .work = county,
    .examples = "cityhub token add from-qixian --rights exchange\n"
                "cityhub upstream county qixian --name-zh 杞县 --token from-qixian\n",
};

static const struct command_option counties_options[] = {
    OPTION_MONTH(.name = "month", .member = "month", .help = "this month; by default each one's newest"),
    ASK_OPTIONS,
    {0}};

static const struct command upstream_counties = {
    .name = "counties",
    .summary = "show the counties that report here side by side",
    .options = counties_options,
    .list = &county_rows,
    .examples = "cityhub upstream counties --month 2026-10\n",
};

static const struct command *const actions[] = {&upstream_check,
                                                &upstream_run,
                                                &upstream_send,
                                                &upstream_push,
                                                &upstream_media,
                                                &upstream_package,
                                                &upstream_packages,
                                                &upstream_status,
                                                &upstream_list,
                                                &upstream_retry,
                                                &upstream_skip,
                                                &upstream_replay,
                                                &upstream_reconcile,
                                                &upstream_quality,
                                                &upstream_county,
                                                &upstream_counties,
                                                NULL};

const struct command command_upstream = {
    .name = "upstream",
    .summary = "report to the platforms above (纵向对接): city, province",
    .actions = actions,
    .more = "docs/upstream.md",
};
