/* command_simulate.c: `cityhub simulate`: the vendors of a synthetic county, to see and to test the hub at work. A
 * client of the broker like any vendor's platform, and of gateways like any device: but for --prepare and --cases it
 * never touches the database. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/adapter.h"
#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/simulate/command_simulate.h"
#include "hub/simulate/simulate_anomaly.h"
#include "hub/simulate/simulate_cases.h"
#include "hub/simulate/simulate_prepare.h"
#include "hub/simulate/simulate_schedule.h"
#include "hub/simulate/simulate_terminal.h"

enum {
    REPORT_MS = 5000,
    TICK_MS = 100,
    LAST_WORDS_MS = 30000, /* at the end: time for PUBACKs and receipts of what is under way */
    CONNECT_MS = 30000,    /* without any connection for so long at the start, there is none to be had */
};

struct options {
    bool inventory_only;
    const char *vendor, *password_file;
    const char *gateways[TERMINAL_PROTOCOLS]; /* HOST:PORT, NULL = none */
    int64_t seconds, seed, anomalies;
    double speed, rate;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

struct simulation {
    struct options options;
    struct vendor_login login;
    struct fleet fleet;
    struct schedule schedule;
    struct simulated_vendor *vendors;
    int count;
    struct simulated_terminals terminals;
    struct simulate_random chance;
    int64_t anomaly_ms, started_ms, report_ms;
    long reported_records;
    int anomalies;
};

static void report_terminals(struct simulated_terminals *terminals) {
    if (terminals->count == 0) {
        return;
    }
    printf("  gateway: terminals %d/%d  sent %ld frames (%ld again)  stored and acknowledged: %ld, refused: %ld\n",
           simulated_terminals_connected(terminals), terminals->count, terminals->sent, terminals->repeated,
           terminals->stored, terminals->refused);
    if (terminals->complaint[0] != '\0') {
        printf("  gateway: %s\n", terminals->complaint);
        terminals->complaint[0] = '\0';
    }
}

static void report(struct simulation *simulation, int64_t now_ms) {
    long messages = 0;
    long records = 0;
    long accepted = 0;
    long duplicates = 0;
    long rejected = 0;
    int connected = 0;
    for (int i = 0; i < simulation->count; i++) {
        struct simulated_vendor *vendor = &simulation->vendors[i];
        messages += vendor->messages;
        records += vendor->records;
        accepted += vendor->accepted;
        duplicates += vendor->duplicates;
        rejected += vendor->rejected;
        connected += vendor->connected ? 1 : 0;
    }
    double elapsed_s = (double)(now_ms - simulation->report_ms) / 1000;
    double rate = elapsed_s > 0 ? (double)(records - simulation->reported_records) / elapsed_s : 0;
    printf("simulate %4llds  vendors %d/%d  sent %ld records in %ld messages (%.0f/s)  receipts: %ld accepted, %ld "
           "duplicates,"
           " %ld rejected  anomalies now %d\n",
           (long long)((now_ms - simulation->started_ms) / 1000), connected, simulation->count, records, messages, rate,
           accepted, duplicates, rejected, simulation->anomalies);
    for (int i = 0; i < simulation->count; i++) {
        struct simulated_vendor *vendor = &simulation->vendors[i];
        if (vendor->problem[0] != '\0') {
            printf("  rejected: %s\n", vendor->problem);
            vendor->problem[0] = '\0';
        }
        if (vendor->complaint[0] != '\0') {
            printf("  broker: %s\n", vendor->complaint);
            vendor->complaint[0] = '\0';
        }
    }
    report_terminals(&simulation->terminals);
    fflush(stdout);
    simulation->report_ms = now_ms;
    simulation->reported_records = records;
}

/* Why it makes no sense to go on, or NULL. */
static const char *hopeless(const struct simulation *simulation, int64_t now_ms) {
    bool ever = false;
    for (int i = 0; i < simulation->count; i++) {
        ever = ever || simulation->vendors[i].ever;
        if (simulation->vendors[i].denied) {
            return "the broker refuses this login: is the password right, and does `cityhub vendor check` say that the broker "
                   "knows its rights?";
        }
    }
    return !ever && now_ms - simulation->started_ms > CONNECT_MS ? "there is no connection to the broker" : NULL;
}

static bool run_out(const struct simulation *simulation, int64_t now_ms) {
    int64_t seconds = simulation->options.seconds;
    return stopped != 0 || (seconds > 0 && now_ms - simulation->started_ms >= seconds * 1000);
}

/* Terminals begin when all inventories are in: the hub then knows their devices. */
static void round_of_terminals(struct simulation *simulation, bool more) {
    for (int i = 0; i < simulation->count; i++) {
        more = more && simulation->vendors[i].phase == PHASE_LIVE;
    }
    if (!simulation->options.inventory_only) {
        simulated_terminals_advance(&simulation->terminals, &simulation->schedule, more, clock_now_ms(),
                                    clock_steady_ms());
    }
}

/* One round of all vendors. True when all of them have said all they had to say. */
static bool round_of_all(struct simulation *simulation) {
    bool done = true;
    int64_t now_ms = clock_now_ms();
    simulation->anomalies = simulation->schedule.inventory_only
                                ? 0
                                : anomaly_advance(&simulation->fleet, &simulation->chance,
                                                  (int)simulation->options.anomalies, &simulation->anomaly_ms, now_ms);
    for (int i = 0; i < simulation->count; i++) {
        done = schedule_advance(&simulation->schedule, &simulation->vendors[i], now_ms) && done;
    }
    round_of_terminals(simulation, true);
    return done;
}

static int in_flight(const struct simulation *simulation) {
    int count = 0;
    for (int i = 0; i < simulation->count; i++) {
        count += simulation->vendors[i].in_flight;
    }
    return count;
}

static bool receipts_missing(const struct simulation *simulation) {
    for (int i = 0; i < simulation->count; i++) {
        if (simulation->vendors[i].receipts < simulation->vendors[i].messages) {
            return true;
        }
    }
    return false;
}

/* Waits for PUBACKs, and, unless a person wants it to end, for receipts and gateways' answers. */
static int last_words(struct simulation *simulation) {
    int64_t until_ms = clock_steady_ms() + LAST_WORDS_MS;
    while (clock_steady_ms() < until_ms &&
           (in_flight(simulation) > 0 || (stopped == 0 && (receipts_missing(simulation) ||
                                                           simulated_terminals_waiting(&simulation->terminals) > 0)))) {
        simulated_vendors_poll(simulation->vendors, simulation->count, TICK_MS, clock_steady_ms());
        round_of_terminals(simulation, false);
    }
    report(simulation, clock_steady_ms());
    if (in_flight(simulation) > 0) {
        return command_fail("%d messages have no acknowledgement of the broker", in_flight(simulation));
    }
    return EXIT_DONE;
}

static int run(struct simulation *simulation) {
    const char *reason = NULL;
    bool done = false;
    simulation->started_ms = simulation->report_ms = clock_steady_ms();
    int64_t now_ms = simulation->started_ms;
    while (!done && reason == NULL && !run_out(simulation, now_ms)) {
        simulated_vendors_poll(simulation->vendors, simulation->count, TICK_MS, now_ms);
        done = round_of_all(simulation);
        now_ms = clock_steady_ms();
        reason = hopeless(simulation, now_ms);
        if (now_ms - simulation->report_ms >= REPORT_MS || reason != NULL) {
            report(simulation, now_ms);
        }
    }
    if (reason != NULL) {
        return command_fail("%s", reason);
    }
    return last_words(simulation);
}

static int make_vendors(struct simulation *simulation) {
    simulation->vendors = calloc(adapter_count, sizeof *simulation->vendors);
    if (simulation->vendors == NULL) {
        return CH_EMEMORY;
    }
    for (size_t i = 0; i < adapter_count; i++) {
        int code = simulated_vendor_open(&simulation->vendors[i], &simulation->login, adapters[i]);
        simulation->count++;
        if (code != 0) {
            return code;
        }
        schedule_vendor(&simulation->vendors[i]);
    }
    return 0;
}

static void tell_plain(void) {
    for (size_t i = 0; i < adapter_count; i++) {
        if (figures_of(adapters[i]->key) == NULL) {
            printf("simulate: %s has no figures of its own: %d devices of each kind, values in the middle "
                   "of their ranges\n",
                   adapters[i]->key, FIGURES_DEVICES_PLAIN);
        }
    }
}

static int start(struct simulation *simulation) {
    struct options *options = &simulation->options;
    int code = fleet_make(&simulation->fleet, (uint64_t)options->seed);
    if (code != 0) {
        return code;
    }
    tell_plain();
    double rate = schedule_rate(&simulation->fleet);
    double speed = options->rate > 0 ? options->rate / rate : options->speed > 0 ? options->speed : 1;
    simulation->chance.state = simulate_hash((uint64_t)options->seed, 2);
    simulation->schedule = (struct schedule){.fleet = &simulation->fleet,
                                             .random = {simulate_hash((uint64_t)options->seed, 3)},
                                             .speed = speed,
                                             .inventory_only = options->inventory_only};
    schedule_devices(&simulation->schedule, clock_now_ms());
    printf("simulate: %d devices of %zu vendors, %.1f records/s, seed %lld, broker %s port %lld\n",
           simulation->fleet.count, adapter_count, rate * speed, (long long)options->seed,
           simulation->login.config->mqtt_host, (long long)simulation->login.config->mqtt_port);
    fflush(stdout);
    code = simulated_terminals_open(&simulation->terminals, &simulation->fleet, options->gateways);
    return code != 0 ? code : make_vendors(simulation);
}

static int play(const struct config *config, const struct options *options) {
    struct simulation simulation = {.options = *options, .login = {.config = config, .vendor = options->vendor}};
    char *password = options->password_file == NULL ? NULL : config_secret(options->password_file);
    if (options->password_file != NULL && password == NULL) {
        return EXIT_FAILED;
    }
    simulation.login.password = password;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    mosquitto_lib_init();
    int code = start(&simulation) == 0 ? run(&simulation) : command_fail("the simulation cannot start");
    for (int i = 0; i < simulation.count; i++) {
        simulated_vendor_close(&simulation.vendors[i]);
    }
    free(simulation.vendors);
    simulated_terminals_close(&simulation.terminals);
    fleet_free(&simulation.fleet);
    mosquitto_lib_cleanup();
    if (password != NULL) {
        OPENSSL_cleanse(password, strlen(password));
        free(password);
    }
    return code;
}

static int list_terminals(uint64_t seed, const char *vendor) {
    struct fleet fleet;
    if (fleet_make(&fleet, seed) != 0) {
        return command_fail("out of memory");
    }
    simulated_terminals_print(&fleet, vendor);
    fleet_free(&fleet);
    return EXIT_DONE;
}

static int run_command(const struct config *config, const struct arguments *arguments) {
    if (argument_given(arguments, "prepare")) {
        return simulate_prepare(config, argument_text(arguments, "vendor")) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    if (argument_given(arguments, "list-terminals")) {
        return list_terminals((uint64_t)argument_number(arguments, "seed"), argument_text(arguments, "vendor"));
    }
    if (argument_given(arguments, "cases")) {
        const struct simulate_cases_options month = {.month = argument_text(arguments, "month"),
                                                     .count = (int)argument_number(arguments, "count"),
                                                     .seed = argument_number(arguments, "seed")};
        return simulate_cases(config, &month) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    const struct options options = {.inventory_only = argument_given(arguments, "once-inventory"),
                                    .vendor = argument_text(arguments, "vendor"),
                                    .password_file = argument_text(arguments, "password-file"),
                                    .gateways = {[TERMINAL_HJ212] = argument_text(arguments, "gateway-hj212"),
                                                 [TERMINAL_JT808] = argument_text(arguments, "gateway-jt808")},
                                    .seconds = argument_number(arguments, "seconds"),
                                    .seed = argument_number(arguments, "seed"),
                                    .anomalies = argument_number(arguments, "anomalies"),
                                    .speed = argument_decimal(arguments, "speed"),
                                    .rate = argument_decimal(arguments, "rate")};
    return play(config, &options);
}

static const struct command_option command_options[] = {
    {.name = "prepare",
     .kind = OPTION_FLAG,
     .help = "set the county up in the database: street offices, grid cells, zones, vendors; then end"},
    {.name = "cases",
     .kind = OPTION_FLAG,
     .either = true,
     .help =
         "play a month of cases (案卷) in the database, from report to closing, with departments of different diligence, and the "
         "entries of the month's assessment; then end. The login of [database] migrate_conninfo (else conninfo) must have the "
         "role cityhub_history"},
    {.name = "list-terminals",
     .kind = OPTION_FLAG,
     .either = true,
     .help = "print the devices that can speak to a gateway, as `cityhub terminal import` reads them; then end"},
    OPTION_MONTH(.name = "month", .needs = "cases", .help = "that month; else the last full one"),
    {.name = "count",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 100000,
     .initial = "1500",
     .needs = "cases",
     .help = "so many cases"},
    {.name = "vendor",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     .pattern = "^[^/+#]{1,63}$",
     .shape = "1 to 63 characters without /, + and #",
     .initial = "sim",
     .help = "name of the vendor in topics, and its login"},
    {.name = "password-file",
     .argument = "FILE",
     .kind = OPTION_FILE,
     .help = "the login's password, on the first line; without it the login is anonymous"},
    {.name = "gateway-hj212",
     .argument = "HOST:PORT",
     .kind = OPTION_TEXT,
     .pattern = "^[^:]{1,200}:[0-9]{1,5}$",
     .shape = "HOST:PORT",
     .help = "some monitors of dust speak HJ 212 to this gateway (网关) instead of MQTT"},
    {.name = "gateway-jt808",
     .argument = "HOST:PORT",
     .kind = OPTION_TEXT,
     .pattern = "^[^:]{1,200}:[0-9]{1,5}$",
     .shape = "HOST:PORT",
     .help = "some waste trucks speak JT/T 808 to this gateway"},
    {.name = "seconds",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 31536000,
     .unit = "seconds",
     .help = "end after so long"},
    {.name = "speed",
     .argument = "X",
     .kind = OPTION_DECIMAL,
     .low = 0.01,
     .high = 10000,
     .initial = "1",
     .help = "devices report X times as often as usual"},
    {.name = "rate",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = 1,
     .high = 1000000,
     .either = true,
     .unit = "records a second",
     .help = "the same, of all vendors together"},
    {.name = "seed",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 0,
     .maximum = 4294967295,
     .initial = "1",
     .help = "another county; the same number makes the same one"},
    {.name = "anomalies",
     .argument = "SECONDS",
     .kind = OPTION_NUMBER,
     .minimum = 0,
     .maximum = 3600,
     .unit = "seconds",
     .initial = "12",
     .help = "something goes wrong about every so often; 0 = never"},
    {.name = "once-inventory", .kind = OPTION_FLAG, .help = "end after inventory and staff"},
    {0},
};

const struct command command_simulate = {
    .name = "simulate",
    .summary = "play the vendors of a synthetic county against the broker, or a month of its cases",
    .text =
        "Plays the vendors of all subsystems of a synthetic county (about 2,000 devices, trucks and people under way) against the "
        "broker of [mqtt] host and port, and shows what their receipts say. Ctrl-C ends it. It is for trying things out, never "
        "for a county that has real grid cells.\n\n"
        "Exit code 1 if there was no connection, the broker refused it, or messages stayed without an acknowledgement.",
    .options = command_options,
    .run = run_command,
    .examples = "cityhub simulate --prepare\n"
                "cityhub simulate --speed 10 --seconds 60\n"
                "cityhub simulate --list-terminals | cityhub terminal import -\n"
                "cityhub simulate --gateway-hj212 127.0.0.1:9001 --gateway-jt808 127.0.0.1:9002\n"
                "cityhub simulate --cases --month 2026-10 --count 500\n",
    .more = "docs/score.md",
};
